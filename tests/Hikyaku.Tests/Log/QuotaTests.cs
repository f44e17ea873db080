using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

public sealed class QuotaTests : IDisposable
{
    private readonly SimulatedStorage _storage = new();
    private readonly TemporaryDirectory _cursors = new();
    private readonly List<string> _reports = [];

    private LogOptions Options => new()
    {
        SegmentBytes = 64 << 10, QuotaBytes = 256 << 10, CursorDirectory = _cursors.Path, Cursors = ["a"], Report = _reports.Add,
    };

    public void Dispose()
    {
        _storage.Dispose();
        _cursors.Dispose();
    }

    private static bool TryWrite(LogWriter writer, ulong source, int bytes)
    {
        var head = new byte[WriteRecord.HeadBytes];
        WriteRecord.WriteHead(head, source, 1, 0, 0, 0, 0, 0);
        return writer.TryAppend(RecordKind.Write, head, new byte[bytes], out _);
    }

    private static int Fill(LogWriter writer)
    {
        int count = 0;
        while (TryWrite(writer, 7, 1000)) Assert.True(++count < 10_000);
        return count;
    }

    [Theory]
    [InlineData(WhenFull.Refuse)]
    [InlineData(WhenFull.Block)]
    public void A_full_log_refuses_and_recovers_by_itself_when_the_cursor_advances(WhenFull whenFull)
    {
        using var writer = LogWriter.Open(_storage, Options with { WhenFull = whenFull });
        int count = Fill(writer);
        Assert.InRange(count, 200, 256);
        Assert.True(writer.Bytes <= writer.QuotaBytes);
        Assert.False(TryWrite(writer, 7, 1000));
        Assert.Single(_reports);
        ulong next = writer.NextSequence;

        using var reader = new LogReader(_storage, 0);
        for (int i = 0; i < count / 2; i++) Assert.True(reader.TryRead(out _));
        Cursor.Write(_cursors.In("a.cursor"), reader.Position);
        Assert.True(TryWrite(writer, 7, 1000));
        Assert.True(writer.NextSequence > next && writer.FirstSequence > 1);
        Assert.Equal(2, _reports.Count);
        Assert.Equal(0, reader.Missed);
        Assert.Empty(writer.TakeDropped());
    }

    [Fact]
    public void Drop_oldest_makes_room_and_counts_per_source_what_was_not_read()
    {
        using var writer = LogWriter.Open(_storage, Options with { WhenFull = WhenFull.DropOldest });
        using var reader = new LogReader(_storage, 0);
        for (int i = 0; i < 10; i++) Assert.True(TryWrite(writer, 3, 100));
        for (int i = 0; i < 4; i++) Assert.True(reader.TryRead(out _));
        Cursor.Write(_cursors.In("a.cursor"), reader.Position);
        var chunk = new byte[ChunkRecord.HeadBytes(0, 0, 0, 0)];
        ChunkRecord.WriteHead(chunk, Guid.Empty, 1, 1, 0, 12, default, default, default, default);
        Assert.True(writer.TryAppend(RecordKind.Chunk, chunk, new byte[99], out _));
        for (int i = 0; i < 1000; i++) Assert.True(TryWrite(writer, 7, 1000));
        Assert.True(writer.Bytes <= writer.QuotaBytes);

        var dropped = writer.TakeDropped().ToDictionary(d => d.Source, d => (d.Records, d.Bytes));
        Assert.Equal((6, 600), dropped[3]);
        Assert.Equal((12, 99), dropped[0]);
        using var late = new LogReader(_storage, reader.Position);
        long left = 0;
        while (late.TryRead(out _)) left++;
        Assert.Equal(1000 - left, dropped[7].Records);
        Assert.Equal((1000 - left) * 1000, dropped[7].Bytes);
        Assert.Equal((long)(writer.FirstSequence - reader.Position), late.Missed);
        Assert.Empty(writer.TakeDropped());
    }

    [Fact]
    public void Drop_oldest_never_drops_what_the_owner_still_needs()
    {
        ulong floor = 0;
        using var writer = LogWriter.Open(_storage, Options with { WhenFull = WhenFull.DropOldest, Floor = () => floor });
        Fill(writer);
        Assert.Equal(1ul, writer.FirstSequence);
        floor = writer.NextSequence;
        Assert.True(TryWrite(writer, 7, 1000));
    }

    [Theory]
    [InlineData(WhenFull.Refuse)]
    [InlineData(WhenFull.DropOldest)]
    public void A_full_disk_is_the_same_as_a_full_quota(WhenFull whenFull)
    {
        _storage.Capacity = 200 << 10;
        using var writer = LogWriter.Open(_storage, Options with { QuotaBytes = 0, WhenFull = whenFull });
        if (whenFull == WhenFull.DropOldest)
        {
            for (int i = 0; i < 1000; i++) Assert.True(TryWrite(writer, 7, 1000));
            Assert.True(Assert.Single(writer.TakeDropped()).Records > 700);
        }
        else
        {
            Fill(writer);
            _storage.Capacity = 300 << 10;
            Assert.True(TryWrite(writer, 7, 1000));
        }
    }

    [Fact]
    public void A_full_disk_at_the_very_beginning_is_named()
    {
        _storage.Capacity = 1000;
        Assert.Equal(LogFault.DiskFull, Assert.Throws<LogException>(() => LogWriter.Open(_storage, Options)).Fault);
        _storage.Capacity = long.MaxValue;
        LogWriter.Open(_storage, Options).Dispose();
    }

    [Fact]
    public void Segments_shrink_with_the_quota_and_a_record_that_can_never_fit_is_refused()
    {
        using var writer = LogWriter.Open(_storage, new LogOptions { QuotaBytes = 1 << 20, Cursors = [], WhenFull = WhenFull.DropOldest });
        Assert.Equal(256 << 10, writer.Bytes);
        Assert.True(TryWrite(writer, 7, 400 << 10));
        Assert.False(TryWrite(writer, 7, 2 << 20));
        Assert.True(TryWrite(writer, 7, 100));
        Assert.True(writer.Bytes <= 1 << 20);
    }

    [Fact]
    public void Without_any_cursor_nothing_is_retired_unless_no_reader_is_expected()
    {
        foreach (var (cursors, retires) in new (string[]?, bool)[] { (null, false), (["a"], false), ([], true) })
        {
            using var storage = new SimulatedStorage();
            using var writer = LogWriter.Open(storage, Options with { Cursors = cursors, QuotaBytes = 0 });
            writer.AppendMany(0, 200);
            writer.Retire();
            Assert.Equal(retires, writer.FirstSequence == writer.SegmentStart);
        }
    }

    [Fact]
    public void The_slowest_of_cursors_and_owner_decides_and_an_unreadable_cursor_holds_everything()
    {
        ulong floor = ulong.MaxValue;
        using var writer = LogWriter.Open(_storage, Options with { QuotaBytes = 0, Floor = () => floor });
        writer.AppendMany(0, 300);
        Cursor.Write(_cursors.In("a.cursor"), 250);
        File.WriteAllText(_cursors.In("b.cursor"), "nonsense of some thirty bytes or so");
        writer.Retire();
        Assert.Equal(1ul, writer.FirstSequence);
        Assert.Contains("b.cursor", Assert.Single(_reports), StringComparison.Ordinal);
        Cursor.Write(_cursors.In("b.cursor"), 200);
        floor = 100;
        writer.Retire();
        Assert.InRange(writer.FirstSequence, 2ul, 100ul);
        floor = ulong.MaxValue;
        writer.Retire();
        Assert.InRange(writer.FirstSequence, 101ul, 200ul);
    }

    [Fact]
    public void A_prepared_segment_counts_and_is_used_next()
    {
        using var writer = LogWriter.Open(_storage, Options);
        writer.Prepare();
        Assert.Equal(64 << 10, writer.Bytes);
        writer.AppendMany(0, 50);
        writer.Prepare();
        Assert.Equal(128 << 10, writer.Bytes);
        Assert.Contains("spare", _storage.Names);
        writer.AppendMany(50, 100);
        Assert.Equal(128 << 10, writer.Bytes);
        Assert.DoesNotContain("spare", _storage.Names);
        Assert.Equal(Numbers(0, 100), ReadAll(_storage));
    }
}
