using System.Diagnostics;
using System.Globalization;

namespace Hikyaku.Simulation;

/// <summary>
/// bench/simulate [--seeds N] [--from SEED]     runs N seeds (1000), first those that failed before
/// bench/simulate --seed SEED                   one seed, and everything that happens
/// bench/simulate --canary                      with the check for repetitions switched off: must fail
/// </summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        if (Option(args, "--seed") is { } one)
        {
            var outcome = Simulation.Run((int)one, args.Contains("--canary"), Console.WriteLine);
            Console.WriteLine(outcome);
            return outcome.Problem is null ? 0 : 1;
        }

        var count = (int)(Option(args, "--seeds") ?? 1000);
        var from = (int)(Option(args, "--from") ?? Environment.TickCount & 0xffffff);
        var start = Stopwatch.GetTimestamp();
        var report = SeedRun.Run([.. KeptSeeds.All, .. Enumerable.Range(from, count)], args.Contains("--canary"));
        foreach (var failed in report.Failed)
            Console.WriteLine($"seed {failed.Seed}: {failed.Problem}\n    again: bench/simulate --seed {failed.Seed}");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{report.Seeds} seeds from {from}, {report.Lines} lines, {report.Time.TotalHours:F0} simulated hours in {Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s: {report.Failed.Count} failed"));
        return report.Failed.Count == 0 ? 0 : 1;
    }

    private static long? Option(string[] args, string name)
    {
        var at = Array.IndexOf(args, name);
        return at >= 0 && at + 1 < args.Length ? long.Parse(args[at + 1], CultureInfo.InvariantCulture) : null;
    }
}
