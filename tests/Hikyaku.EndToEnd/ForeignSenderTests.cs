using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>Senders that only know how to repeat, and a collector that is killed under them.</summary>
public sealed class ForeignSenderTests(ITestOutputHelper output)
{
    [Fact]
    public void What_fluentd_and_Fluent_Bit_repeat_arrives_once_also_when_the_collector_is_killed()
    {
        using var scene = new Scene(60 + Kills.Count * 8);
        var street = new Street(scene);
        street.StartCollector();
        var kills = new Kills();
        output.WriteLine($"seed {kills.Seed}");
        ForeignSender[] senders =
        [
            new(street.Port, "fluentd", isFluentBit: false, kills.Draw(1 << 20)),
            new(street.Port, "fluentd2", isFluentBit: false, kills.Draw(1 << 20)),
            new(street.Port, "fluent-bit", isFluentBit: true, kills.Draw(1 << 20)),
        ];
        for (var i = 0; i < Kills.Count; i++)
        {
            Kills.WaitUntilLinesMove(street);
            kills.WaitForTheMoment();
            street.Collector.Kill();
            street.StartCollector();
        }
        Kills.WaitUntilLinesMove(street);
        foreach (var sender in senders)
            sender.Stop();

        foreach (var sender in senders)
        {
            output.WriteLine($"{sender.Name}: {sender.Lines} lines, {sender.Repeated} chunks repeated");
            Assert.True(sender.Repeated > 0);
            var length = Enumerable.Range(0, sender.Lines).Sum(n => (long)sender.Line(n).Length + 1);
            Eventually.Is(() => Of(street, sender).Sum(static l => (long)l.Length + 1) >= length, $"all lines of {sender.Name}", scene.Report);
            Assert.Equal(Enumerable.Range(0, sender.Lines).Select(sender.Line), Of(street, sender));
        }
        Assert.True(street.Collector.Stop() == 0, scene.Report());
    }

    private static IEnumerable<string> Of(Street street, ForeignSender sender) =>
        File.ReadLines(street.Output).Where(l => l.StartsWith(sender.Name + " ", StringComparison.Ordinal));
}
