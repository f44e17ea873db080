using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

/// <summary>Records whose data is stored at once and not through the mapping.</summary>
public sealed class LargeRecordTests
{
    private const int Large = 32 << 10;

    private static readonly LogOptions Roomy = new() { SegmentBytes = 8 << 20 };

    [Fact]
    public void Large_and_small_records_are_read_as_they_were_appended_also_by_another_writer()
    {
        using var directory = new TemporaryDirectory();
        var storage = new FileLogStorage(directory.In("log"));
        var dice = new Random(1);
        var expected = new List<byte[]>();
        using var reader = Read(storage);
        for (int life = 0; life < 3; life++)
        {
            using var writer = LogWriter.Open(storage, Roomy);
            for (int i = 0; i < 120; i++)
            {
                // On either side of the limit, with heads that are themselves beyond it.
                int head = dice.Next(4) switch { 0 => 0, 1 => 56, 2 => dice.Next(1000), _ => dice.Next(2 * Large) };
                int data = dice.Next(4) switch { 0 => Large + dice.Next(-9, 9), 1 => dice.Next(200), 2 => dice.Next(10 * Large), _ => dice.Next(Large) };
                var body = new byte[head + data + 1];
                dice.NextBytes(body);
                Assert.True(writer.TryAppend(RecordKind.Write, body.AsSpan(0, head), body.AsSpan(head), out _));
                expected.Add(body);
            }
        }

        using var again = Read(storage);
        foreach (var one in new[] { reader, again })
        {
            foreach (var body in expected)
            {
                Assert.True(one.TryRead(out var record));
                Assert.True(record.Body.SequenceEqual(body));
            }
            Assert.False(one.TryRead(out _));
            Assert.Equal((0, 0), (one.Missed, one.DamagedRegions));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(Large + 7)]
    public void A_writer_killed_in_the_midst_of_a_large_record_leaves_no_record_and_no_bytes_of_it(int stored)
    {
        using var storage = new SimulatedStorage();
        var reports = new List<string>();
        var options = Roomy with { Report = reports.Add };
        var writer = LogWriter.Open(storage, options);
        writer.AppendMany(0, 10);
        storage.KillsStoreAfter = stored;
        Assert.Throws<LogException>(() => writer.TryAppend(RecordKind.Write, new byte[56], Filled(Large + 8), out _));
        storage.Kill();

        using (var next = LogWriter.Open(storage, options))
        {
            // All of the rest is as empty as it was before.
            string open = Assert.Single(storage.Names);
            int tail = Offsets(storage, open).Values.Max() + 24 + 1024;
            Assert.False(storage[open][tail..].ContainsAnyExcept((byte)0));
            next.Append("ten");
            Assert.True(next.TryAppend(RecordKind.Write, default, Filled(Large), out _));
        }

        using var reader = new LogReader(storage, 0);
        var texts = reader.ReadAll();
        Assert.Equal([.. Numbers(0, 10), "ten", new string('#', Large)], texts);
        Assert.Equal((0, 0), (reader.Missed, reader.DamagedRegions));
        Assert.Empty(reports);
    }

    [Fact]
    public void Memory_is_prepared_ahead_once_and_left_behind_in_order()
    {
        using var storage = new SimulatedStorage();
        using var writer = LogWriter.Open(storage, Roomy);
        for (int i = 0; i < 3000; i++) writer.Append($"{i} ".PadRight(i % 100 == 0 ? 2 * Large : 1000, '.'));

        var prepared = storage.Hints.Where(static h => h.What == "prepare").ToList();
        var left = storage.Hints.Where(static h => h.What == "leave").ToList();
        Assert.True(prepared.Zip(prepared.Skip(1)).All(static p => p.First.To <= p.Second.From));
        Assert.True(left.Zip(left.Skip(1)).All(static p => p.First.To == p.Second.From));
        Assert.NotEmpty(left);
        Assert.True(left[^1].To <= prepared[^1].To);
    }

    private static byte[] Filled(int length)
    {
        var bytes = new byte[length];
        bytes.AsSpan().Fill((byte)'#');
        return bytes;
    }

    private static LogReader Read(ILogStorage storage) => new(storage, 0);
}
