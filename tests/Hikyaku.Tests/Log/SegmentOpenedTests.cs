using System.Text;
using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

public sealed class SegmentOpenedTests
{
    [Fact]
    public void What_is_restated_stands_first_in_every_segment()
    {
        using var storage = new SimulatedStorage();
        using var writer = LogWriter.Open(storage, Small);
        writer.SegmentOpened = w => Assert.True(w.TryAppend(RecordKind.Source, "restated"u8, default, out _));
        writer.AppendMany(0, 300);
        int segments = 0;
        foreach (string name in storage.Names)
        {
            segments++;
            using var reader = new LogReader(storage, ulong.Parse(name.AsSpan(0, 20)));
            Assert.True(reader.TryRead(out var record));
            Assert.Equal("restated", Encoding.UTF8.GetString(record.Body));
            Assert.Equal(ulong.Parse(name.AsSpan(0, 20)), record.Sequence);
        }
        Assert.True(segments > 4);
        Assert.Equal(300 + segments, ReadAll(storage).Count);
    }

    [Fact]
    public void A_recovered_segment_is_announced_once_more_by_the_new_writer()
    {
        using var storage = new SimulatedStorage();
        using (var writer = LogWriter.Open(storage, Small)) writer.Append("a");
        using var next = LogWriter.Open(storage, Small);
        int calls = 0;
        next.SegmentOpened = _ => calls++;
        next.Append("b");
        next.Append("c");
        Assert.Equal(1, calls);
    }

    [Fact]
    public void Restating_more_than_a_segment_holds_ends_all_the_same()
    {
        using var storage = new SimulatedStorage();
        using var writer = LogWriter.Open(storage, Small);
        int number = 0;
        writer.SegmentOpened = w =>
        {
            for (int i = 0; i < 200; i++) w.Append($"r{number++} ".PadRight(1024, '.'));
        };
        for (int i = 0; i < 500; i++) writer.Append($"w{i} ".PadRight(1024, '.'));
        var texts = ReadAll(storage);
        Assert.Equal(Enumerable.Range(0, 500).Select(i => $"w{i}"), texts.Where(t => t[0] == 'w'));
        Assert.Equal(Enumerable.Range(0, number).Select(i => $"r{i}"), texts.Where(t => t[0] == 'r'));
    }

    [Fact]
    public void A_record_larger_than_a_segment_gets_one_of_its_size_with_room_for_what_is_restated()
    {
        using var storage = new SimulatedStorage();
        using var writer = LogWriter.Open(storage, Small);
        writer.SegmentOpened = w => w.Append("restated");
        writer.Append("a");
        Assert.True(writer.TryAppend(RecordKind.Chunk, "x"u8, new byte[5 << 20], out _));
        Assert.True(writer.TryAppend(RecordKind.Chunk, "x"u8, new byte[5 << 20], out _));
        writer.Append("b");
        using var reader = new LogReader(storage, 0);
        var lengths = new List<int>();
        while (reader.TryRead(out var record)) lengths.Add(record.Body.Length);
        Assert.Equal([8, 1, 8, (5 << 20) + 1, 8, (5 << 20) + 1, 1], lengths);
    }

    [Fact]
    public void Limits_of_a_body_are_kept()
    {
        using var storage = new SimulatedStorage();
        using var writer = LogWriter.Open(storage, Small);
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.TryAppend(RecordKind.Write, default, default, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.TryAppend(RecordKind.Write, "a"u8, new byte[128 << 20], out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.TryAppend(RecordKind.Seal, "a"u8, default, out _));
        writer.Append("fine");
        Assert.Equal(["fine"], ReadAll(storage));
        writer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => writer.Append("late"));
    }
}
