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
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), _ => { });
        reader.Seek(1, []);
        var chunk = new SmallChunk();

        reader.Fill(chunk, to);

        Assert.Equal(10, chunk.Lines);
        Assert.Equal(to, reader.Position);
    }

    [Fact]
    public void A_new_chunk_ends_when_it_is_full()
    {
        using var log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
        for (var i = 0; i < 10; i++)
            log.Write("a", 1, "line\n");
        using var reader = new LineReader(log.Storage, "agent", new PathMatch([]), _ => { });
        reader.Seek(1, []);
        var chunk = new SmallChunk();

        reader.Fill(chunk, 0);

        Assert.Equal(3, chunk.Lines);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private sealed class SmallChunk : Chunk
    {
        public override bool IsFull => Lines >= 3;

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in Line line)
        {
        }
    }
}
