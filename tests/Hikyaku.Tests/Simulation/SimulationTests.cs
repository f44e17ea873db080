using Hikyaku.Simulation;
using Xunit;

namespace Hikyaku.Tests.Simulation;

public sealed class SimulationTests
{
    private const int Seeds = 300;

    [Fact]
    public void Every_accepted_line_arrives_once_and_in_order_whatever_fails()
    {
        var report = SeedRun.Run([.. KeptSeeds.All, .. Enumerable.Range(1, Seeds)], storesRepeats: false);
        Assert.True(report.Failed.Count == 0,
            string.Join('\n', report.Failed.Select(static f => $"seed {f.Seed}: {f.Problem}; again: bench/simulate --seed {f.Seed}")));
        Assert.True(report.Lines > report.Seeds * 100, $"only {report.Lines} lines in {report.Seeds} seeds");
    }

    [Fact]
    public void A_receiver_that_does_not_recognise_repetitions_is_found_out()
    {
        var report = SeedRun.Run([.. Enumerable.Range(1, 50)], storesRepeats: true, stopAtFirst: true);
        Assert.NotEmpty(report.Failed);
        Assert.Contains(report.Failed, static f => f.Problem!.Contains("times", StringComparison.Ordinal) || f.Problem.Contains("after line", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(2024)]
    public void A_seed_leads_the_same_way_every_time(int seed)
    {
        var ways = new Outcome[2];
        // On threads of their own, as every simulation.
        var threads = Enumerable.Range(0, 2).Select(i => new Thread(() => ways[i] = Hikyaku.Simulation.Simulation.Run(seed, storesRepeats: false, static _ => { }))).ToList();
        threads.ForEach(static t => t.Start());
        threads.ForEach(static t => t.Join());
        Assert.Equal(ways[0], ways[1]);
    }
}
