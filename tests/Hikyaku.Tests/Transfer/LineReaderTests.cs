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
        log.Write("a", 1, "0");
        log.Write("a", 1, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12");
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

        Assert.Equal(["01 2 3 4 5", "6 7 8 9 10", "11 1213"], parts.Select(static p => p.Lines));
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
        half.AsSpan().Fill((byte)'x');
        log.Write("a", 1, half);
        log.Write("a", 1, new string('y', 300) + "\n1\n2\n3\n4\n5\n6\n7\n");
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), null, _ => { });
        reader.Seek(LogPosition.Start, []);
        var text = "";
        while (true)
        {
            var chunk = new SmallChunk();
            if (!reader.Fill(chunk, null))
                break;
            text += " " + chunk.Text;
        }

        Assert.EndsWith("y 1 2 3 4 5 6 7", text.TrimEnd(), StringComparison.Ordinal);
        Assert.Equal(LineAssembler.LineBytesMax + 200, text.Count(static c => c is 'x' or 'y'));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private sealed class SmallChunk : Chunk
    {
        public override bool IsFull => Lines >= 3;

        public override bool IsOverfull => Lines >= 5;

        public override bool TryWriteNote(ByteBuffer target) => true;

        public string Text { get; private set; } = "";

        protected override void Pack(in Line line) => Text = (Text + " " + System.Text.Encoding.UTF8.GetString(line.Text)).Trim();
    }
}
