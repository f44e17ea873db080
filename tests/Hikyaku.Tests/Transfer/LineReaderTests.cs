using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class LineReaderTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-reader-").FullName;

    [Fact]
    public void A_repeated_chunk_holds_all_of_its_records_however_large_it_is_packed()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        for (var i = 0; i < 10; i++)
            log.Write("a", 1, "line\n");
        var to = log.Log.NextSequence;
        log.Write("a", 1, "the next chunk's\n");
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var chunk = new SmallChunk();

        reader.Fill(chunk, new LogPosition(to, 0));

        Assert.Equal(10, chunk.Lines);
        Assert.Equal(new LogPosition(to, 0), reader.Position);
    }

    [Fact]
    public void A_new_chunk_ends_when_it_is_full()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        for (var i = 0; i < 10; i++)
            log.Write("a", 1, "line\n");
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var chunk = new SmallChunk();

        reader.Fill(chunk, null);

        Assert.Equal(3, chunk.Lines);
    }

    [Fact]
    public void A_record_may_be_divided_and_each_part_be_read_again()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        // Two of these lines make a block.
        var wide = new string('x', 100_000);
        log.Write("a", 1, "0");
        log.Write("a", 1, string.Join(wide + "\n", Enumerable.Range(1, 12)));
        log.Write("a", 1, "13\n");
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var parts = new List<(LogPosition From, LogPosition To, string Lines, byte[] Before)>();
        var tails = new ByteBuffer();
        while (true)
        {
            var chunk = new SmallChunk();
            var (from, before) = (reader.Position, tails.Written.ToArray());
            if (!reader.Fill(chunk, null))
                break;
            tails.Clear();
            reader.SaveTails(tails);
            parts.Add((from, reader.Position, chunk.Text, before));
        }

        Assert.Equal(["01 2 3 4 5", "6 7 8 9 10 11", "1213"], parts.Select(static p => p.Lines));
        foreach (var part in parts)
        {
            using var again = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
            again.Seek(part.From, part.Before);
            var chunk = new SmallChunk();
            while (again.Position < part.To && again.Fill(chunk, part.To))
            {
            }

            Assert.Equal((part.Lines, part.To), (chunk.Text, again.Position));
        }
    }

    [Fact]
    public void A_record_divided_behind_a_line_that_was_cut_loses_no_line()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        var half = new byte[LineAssembler.LineBytesMax - 100];
        half.AsSpan().Fill((byte)'w');
        log.Write("a", 1, half);
        log.Write("a", 1, new string('y', 300) + "\n" + string.Concat(Enumerable.Range(1, 7).Select(static i => $"{i}{new string('z', 100_000)}\n")));
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var text = "";
        var chunks = 0;
        for (; ; chunks++)
        {
            var chunk = new SmallChunk();
            if (!reader.Fill(chunk, null))
                break;
            text += " " + chunk.Text;
        }

        Assert.Equal(2, chunks);
        Assert.EndsWith("y 1 2 3 4 5 6 7", text.TrimEnd(), StringComparison.Ordinal);
        Assert.Equal(LineAssembler.LineBytesMax + 200, text.Count(static c => c is 'w' or 'y'));
    }

    [Fact]
    public void Whole_lines_of_one_write_are_one_block_and_the_rest_waits()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        log.Write("a", 1, "1\n2\n\n4\nha");
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var chunk = new SmallChunk();
        reader.Fill(chunk, null);
        log.Write("a", 1, "lf\n6\n7\n");
        var next = new SmallChunk();
        reader.Fill(next, null);

        Assert.Equal((4, 1, "1 2  4"), (chunk.Lines, chunk.Blocks, chunk.Text));
        Assert.Equal((3, 2, "half 6 7"), (next.Lines, next.Blocks, next.Text));
        Assert.Equal((3, 9), (chunk.Bytes, next.Bytes + 3));
        Assert.Equal(7, Assert.Single(reader.Sources()).Lines);
    }

    [Theory]
    [InlineData("other", 0)]
    [InlineData("*", long.MaxValue)]
    public void A_backlog_of_which_nothing_is_let_through_is_read_in_portions(string match, long oldest)
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 4 << 20, CursorDirectory = _root, Cursors = ["route"] });
        var line = new string('x', 99_999) + "\n";
        for (var i = 0; i < 100; i++)
            log.Write("a", 1, line);
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([match]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var chunk = new SmallChunk { Oldest = oldest };
        Assert.True(reader.Fill(chunk, null));

        Assert.InRange(reader.Position.Record, 10UL, log.Log.NextSequence - 10);
        while (reader.Fill(chunk, null))
        {
        }

        Assert.Equal((log.Log.NextSequence, 0L), (reader.Position.Record, chunk.Lines));
    }

    [Fact]
    public void An_unfinished_line_keeps_its_writer_over_a_restart()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        log.Write("a", 1, "half", pid: 4321);
        var tails = new ByteBuffer();
        LogPosition at;
        using (var first = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { }))
        {
            first.Seek(LogPosition.Start, []);
            first.Fill(new SmallChunk(), null);
            first.SaveTails(tails);
            at = first.Position;
        }

        // Through a second life, in which nothing was written to it.
        using (var second = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { }))
        {
            second.Seek(at, tails.Written.ToArray());
            tails.Clear();
            second.SaveTails(tails);
        }

        log.Close("a", 1);
        using var third = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        third.Seek(at, tails.Written);
        var chunk = new SmallChunk();
        third.Fill(chunk, null);

        Assert.Equal(("half", 4321U, 1000U), (chunk.Text, chunk.Source!.Pid, chunk.Source.Uid));
    }

    [Fact]
    public void Unfinished_lines_that_a_version_before_noted_are_read()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        log.Write("a", 1, "half");
        log.Write("b", 2, "halb");
        var at = new LogPosition(log.Log.NextSequence, 0);
        log.Close("a", 1);
        log.Close("b", 2);
        var tails = new ByteBuffer();
        foreach (var (handle, path, text) in new[] { (1UL, "a", "half"), (2UL, "b", "halb") })
        {
            MessagePackWriter.WriteArrayHeader(tails, 4);
            MessagePackWriter.WriteUnsigned(tails, 1);
            MessagePackWriter.WriteUnsigned(tails, handle);
            MessagePackWriter.WriteBinary(tails, Encoding.UTF8.GetBytes(path));
            MessagePackWriter.WriteBinary(tails, Encoding.UTF8.GetBytes(text));
        }

        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(at, tails.Written);
        var chunk = new SmallChunk();
        reader.Fill(chunk, null);

        Assert.Equal("half halb", chunk.Text);
    }

    [Fact]
    public void A_received_block_may_be_divided_and_each_part_be_read_again()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        var (common, entries) = (new ByteBuffer(), new ByteBuffer());
        MessagePackWriter.WriteArrayHeader(common, 1);
        EntryWriter.WriteCommon(common, new EntryFields { Path = "p"u8 });
        // More lines than one block may have: taken in parts of 5,000.
        EntryWriter.WriteCompact(entries, 1, "first"u8, false, 0);
        EntryWriter.WriteCompact(entries, 1, Encoding.UTF8.GetBytes(string.Join('\n', Enumerable.Range(10_000, 20_000))), true, -1);
        EntryWriter.WriteCompact(entries, 1, "last"u8, false, -1);
        log.Receive(1, common.Written, entries.Written);
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var parts = new List<(LogPosition From, LogPosition To, string Text)>();
        while (true)
        {
            var chunk = new SmallChunk();
            var from = reader.Position;
            if (!reader.Fill(chunk, null))
                break;
            parts.Add((from, reader.Position, chunk.Text));
        }

        Assert.True(parts.Count > 2);
        Assert.Equal($"first {string.Join(' ', Enumerable.Range(10_000, 20_000))} last", string.Join(' ', parts.Select(static p => p.Text)));
        Assert.Equal(20_002, Assert.Single(reader.Sources()).Lines);
        foreach (var part in parts)
        {
            using var again = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
            again.Seek(part.From, []);
            var chunk = new SmallChunk();
            while (again.Position < part.To && again.Fill(chunk, part.To))
            {
            }

            Assert.Equal((part.Text, part.To), (chunk.Text, again.Position));
        }

        // A bound that another version has set, in the middle of what is a block today.
        using var other = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        other.Seek(new LogPosition(parts[0].From.Record, 3), []);
        var middle = new SmallChunk();
        other.Fill(middle, new LogPosition(parts[0].From.Record, 6));

        Assert.Equal("10002 10003 10004", middle.Text);
        Assert.Equal(new LogPosition(parts[0].From.Record, 6), other.Position);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private sealed class SmallChunk : Chunk
    {
        public override bool IsFull => Lines >= 3;

        public override bool IsOverfull => Lines >= 5;

        public override bool TryWriteNote(ByteBuffer target) => true;

        public string Text { get; private set; } = "";

        public int Blocks { get; private set; }

        public LineSource? Source { get; private set; }

        protected override void Pack(in LineBlock lines)
        {
            Blocks++;
            Source = lines.Source;
            Text = (Text + " " + Encoding.UTF8.GetString(lines.Text).Replace('\n', ' ').Replace("x", "").Replace("z", "")).Trim();
            Assert.Equal(lines.Count - 1, lines.Text.Count((byte)'\n'));
        }
    }
}
