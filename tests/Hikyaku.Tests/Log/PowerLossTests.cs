using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

public sealed class PowerLossTests
{
    [Fact]
    public void What_was_committed_survives_and_nothing_is_invented()
    {
        int seed = Environment.TickCount;
        for (int round = 0; round < 100; round++, seed++)
        {
            var dice = new Random(seed);
            using var storage = new SimulatedStorage();
            var writer = LogWriter.Open(storage, Small);
            int written = dice.Next(1, 200);
            writer.AppendMany(0, written);
            writer.Commit();
            int more = written + dice.Next(150);
            writer.AppendMany(written, more);
            storage.CutPower(dice);
            using (var next = LogWriter.Open(storage, Small)) next.Append("-1");
            var numbers = ReadAll(storage).Select(int.Parse).ToList();
            Assert.True(numbers[^1] == -1, $"seed {seed}");
            numbers.RemoveAt(numbers.Count - 1);
            Assert.True(numbers.Take(written).SequenceEqual(Enumerable.Range(0, written)), $"seed {seed}");
            Assert.True(numbers.SequenceEqual(numbers.Distinct().Order()) && numbers[^1] < more, $"seed {seed}");
        }
    }

    [Fact]
    public void A_number_that_a_reader_has_passed_is_never_used_again()
    {
        using var cursors = new TemporaryDirectory();
        using var storage = new SimulatedStorage();
        Cursor.Write(cursors.In("a.cursor"), 500);
        var options = Small with { CursorDirectory = cursors.Path };
        using (var writer = LogWriter.Open(storage, Small)) writer.AppendMany(0, 10);
        using var next = LogWriter.Open(storage, options);
        Assert.Equal(500ul, next.Append("fresh"));
        Assert.Equal(["fresh"], ReadAll(storage, 500));
        Assert.Equal([.. Numbers(0, 10), "fresh"], ReadAll(storage));
        Assert.False(new LogInspection(storage).Verify(TextWriter.Null));
    }
}
