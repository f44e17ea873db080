using System.Runtime.InteropServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The measurements of the whole system, by the name of their script in bench/compare.</summary>
internal static class Commands
{
    private const string ExitCodes = """
            --out DIR    where the table and the raw figures go (default .build/compare/NAME-TIME); everything runs in DIR/work
            --peers DIR  where packages of rsyslog and syslog-ng are unpacked that are not installed (default .build/compare/peers)
            --quick      a little of everything: shows in seconds that it works, not how fast it is; rsyslog and syslog-ng only with --peers
        Exit codes: 0 every line arrived through Hikyaku, once and in order; 1 one did not, or memory was not flat; 2 wrong usage;
        3 something could not be started; 130 interrupted. What the others lose is in the table.
        """;

    private static readonly Dictionary<string, (string Usage, Func<Arguments, CancellationToken, bool> Run)> Known = new(StringComparer.Ordinal)
    {
        ["run"] = (ComparisonRun.Usage + ExitCodes, ComparisonRun.Run),
        ["scale"] = (ScaleRun.Usage + ExitCodes, ScaleRun.Run),
        ["latency"] = (LatencyRun.Usage + ExitCodes, LatencyRun.Run),
        ["soak"] = (SoakRun.Usage + ExitCodes, SoakRun.Run),
        ["memory"] = (MemoryRun.Usage + ExitCodes, MemoryRun.Run),
        ["rotate"] = (RotationRun.Usage + ExitCodes, RotationRun.Run),
        ["picture"] = (Picture.Usage, Picture.Run),
    };

    /// <summary>Null: no such measurement.</summary>
    public static int? Run(string name, string[] args)
    {
        if (!Known.TryGetValue(name, out var command))
            return null;
        if (args.Contains("--help") || args.Contains("-h"))
        {
            Console.WriteLine(command.Usage);
            return 0;
        }

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
            return command.Run(new Arguments(args), stop.Token) ? 0 : 1;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
        catch (UsageException e)
        {
            Console.Error.WriteLine($"{e.Message}\n\n{command.Usage}");
            return 2;
        }
        catch (Exception e) when (e is ComparisonException or IOException)
        {
            Console.Error.WriteLine(e.Message);
            return 3;
        }
    }
}
