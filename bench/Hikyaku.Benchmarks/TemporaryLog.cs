using Hikyaku.Log;

namespace Hikyaku.Benchmarks;

/// <summary>A log in a directory of its own, for one source and one open file; deleted at the end.</summary>
internal sealed class TemporaryLog : IDisposable
{
    private const ulong Handle = 1;

    private readonly string _directory = Directory.CreateTempSubdirectory("hikyaku-bench-").FullName;
    private readonly byte[] _head = new byte[1024];
    private readonly ulong _source;
    private ulong _request;

    public TemporaryLog()
    {
        Storage = new FileLogStorage(Path.Combine(_directory, "log"));
        // No reader is expected, so what is sealed may go: the disk holds two segments, however long a benchmark runs.
        Writer = LogWriter.Open(Storage, new LogOptions { QuotaBytes = 256 << 20, SegmentBytes = 64 << 20, Cursors = [] });
        var length = SourceRecord.WriteHead(_head, 0, "access.log"u8.Length);
        Append(RecordKind.Source, _head.AsSpan(0, length), "access.log"u8, out _source);
    }

    public FileLogStorage Storage { get; }

    public LogWriter Writer { get; }

    /// <summary>Appends as the mount does for one write(2).</summary>
    public void Write(ReadOnlySpan<byte> data)
    {
        Span<byte> head = stackalloc byte[WriteRecord.HeadBytes];
        WriteRecord.WriteHead(head, _source, Handle, 0, Clock.Now(), ++_request, 1000, 4321);
        Append(RecordKind.Write, head, data, out _);
    }

    /// <summary>Appends as the mount does for bytes that were written past it.</summary>
    public void Extend(ulong file, ulong from, ulong to)
    {
        Span<byte> body = stackalloc byte[ExtentRecord.HeadBytes];
        ExtentRecord.WriteHead(body, _source, Handle, file, 0, from, to, Clock.Now(), 1000, 4321);
        Append(RecordKind.Extent, body, [], out _);
    }

    /// <summary>Appends as the receiver does for one chunk.</summary>
    public void Receive(ulong number, ReadOnlySpan<byte> common, ReadOnlySpan<byte> entries)
    {
        var length = ChunkRecord.WriteHead(_head, Guid.Empty, number, 0, Clock.Now(), 1, "files"u8, "hikyaku.apache"u8, "192.0.2.17"u8, common);
        Append(RecordKind.Chunk, _head.AsSpan(0, length), entries, out _);
    }

    public void Dispose()
    {
        Writer.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private void Append(RecordKind kind, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data, out ulong sequence)
    {
        if (!Writer.TryAppend(kind, head, data, out sequence))
            throw new IOException($"{Storage.Location}: no room for the benchmark's log");
    }

    private static class Clock
    {
        public static long Now() => (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;
    }
}
