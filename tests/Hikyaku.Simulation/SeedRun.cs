namespace Hikyaku.Simulation;

/// <summary>What many seeds came to.</summary>
internal sealed record SeedReport(int Seeds, long Lines, TimeSpan Time, IReadOnlyList<Outcome> Failed);

/// <summary>Runs seeds on all processors.</summary>
internal static class SeedRun
{
    public static SeedReport Run(IReadOnlyList<int> seeds, bool storesRepeats, bool stopAtFirst = false)
    {
        var failed = new List<Outcome>();
        var next = -1;
        long lines = 0, time = 0;
        var done = 0;
        // Threads of their own: a simulation stays on the one it began on.
        var threads = Enumerable.Range(0, Environment.ProcessorCount).Select(_ => new Thread(() =>
        {
            while (Interlocked.Increment(ref next) is var i && i < seeds.Count && !(stopAtFirst && failed.Count > 0))
            {
                var outcome = Simulation.Run(seeds[i], storesRepeats, static _ => { });
                Interlocked.Increment(ref done);
                Interlocked.Add(ref lines, outcome.Lines);
                Interlocked.Add(ref time, outcome.Time.Ticks);
                if (outcome.Problem is not null)
                {
                    lock (failed)
                        failed.Add(outcome);
                }
            }
        })).ToArray();
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        return new SeedReport(done, lines, TimeSpan.FromTicks(time), failed);
    }
}
