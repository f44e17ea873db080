using System.Runtime.InteropServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The mode "compare": bench/compare/run builds everything and comes here.</summary>
internal static class CompareCommand
{
    public static int Run(string[] args)
    {
        if (ComparisonOptions.Parse(args) is not { } options)
        {
            Console.Error.WriteLine(ComparisonOptions.Usage);
            return 2;
        }

        return Run(stop =>
        {
            using var run = new ComparisonRun(options, stop);
            return run.Run();
        });
    }

    /// <summary>Measures until it is done or interrupted. Exit code 0: every line arrived; the others are in <see cref="ComparisonOptions.Usage"/>.</summary>
    public static int Run(Func<CancellationToken, bool> measure)
    {
        using var stop = new CancellationTokenSource();
        void Cancel(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
        using var hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Cancel);
        try
        {
            return measure(stop.Token) ? 0 : 1;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
        catch (Exception e) when (e is ComparisonException or IOException)
        {
            Console.Error.WriteLine(e.Message);
            return 3;
        }
    }
}
