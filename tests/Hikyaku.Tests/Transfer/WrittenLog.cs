using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Transfer;

/// <summary>A log as a mount would write it: sources stated in each segment, writes, closes.</summary>
internal sealed partial class WrittenLog : IDisposable
{
    /// <summary>Of the first record; each further one is a nanosecond later.</summary>
    public const long FirstTime = 1_700_000_000_000_000_000;

    private readonly int _bell;
    private readonly LogWriter _log;
    private readonly Dictionary<string, ulong> _sources = [];
    private readonly HashSet<string> _stated = [];
    private readonly byte[] _head = new byte[256];
    private string? _appending;
    private long _time = FirstTime;

    public WrittenLog(int bell, string directory, LogOptions options)
    {
        _bell = bell;
        Directory.CreateDirectory(directory);
        Storage = new FileLogStorage(directory);
        _log = LogWriter.Open(Storage, options);
        _log.SegmentOpened = _ =>
        {
            _stated.Clear();
            if (_appending is not { } path)
                return;
            State(path);
            _appending = path;
        };
    }

    public FileLogStorage Storage { get; }
    public LogWriter Log => _log;

    /// <summary>Unix time in ns of the next record; each is a nanosecond later than the one before.</summary>
    public long Time
    {
        get => _time;
        set => _time = value;
    }

    /// <summary>Returns the time of the write.</summary>
    public long Write(string path, ulong handle, string text, uint pid = 7) => Write(path, handle, Encoding.UTF8.GetBytes(text), pid);

    public long Write(string path, ulong handle, byte[] data, uint pid = 7)
    {
        var source = State(path);
        var length = WriteRecord.WriteHead(_head, source, handle, 0, _time++, _log.NextSequence, 1000, pid);
        _appending = path;
        Assert.True(_log.TryAppend(RecordKind.Write, _head.AsSpan(0, length), data, out _));
        _appending = null;
        Ring();
        return _time - 1;
    }

    /// <summary>Notes bytes of a backing file.</summary>
    public void Extent(string path, ulong handle, ulong file, ulong generation, ulong from, ulong to, uint pid = 7)
    {
        var source = State(path);
        var length = ExtentRecord.WriteHead(_head, source, handle, file, generation, from, to, _time++, 1000, pid);
        _appending = path;
        Assert.True(_log.TryAppend(RecordKind.Extent, _head.AsSpan(0, length), [], out _));
        _appending = null;
        Ring();
    }

    /// <summary>A chunk as a receiver stores it.</summary>
    public void Receive(ulong number, ReadOnlySpan<byte> common, ReadOnlySpan<byte> entries)
    {
        var length = ChunkRecord.WriteHead(_head, Guid.NewGuid(), number, number, _time++, 1, "route"u8, "tag"u8, "peer"u8, common);
        Assert.True(_log.TryAppend(RecordKind.Chunk, _head.AsSpan(0, length), entries, out _));
        Ring();
    }

    public void Close(string path, ulong handle)
    {
        var length = CloseRecord.WriteHead(_head, State(path), handle, _time++);
        _appending = path;
        Assert.True(_log.TryAppend(RecordKind.Close, _head.AsSpan(0, length), [], out _));
        _appending = null;
        Ring();
    }

    public void Dispose() => _log.Dispose();

    public static int MakeBell() => EventFd(0, 0x80000);

    private void Ring()
    {
        ulong one = 1;
        Assert.Equal(8, Write(_bell, ref one, 8));
    }

    [LibraryImport("libc", EntryPoint = "eventfd")]
    private static partial int EventFd(uint value, int flags);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int fd, ref ulong value, nint count);

    private ulong State(string path)
    {
        if (_sources.TryGetValue(path, out var id) && _stated.Contains(path))
            return id;
        _appending = null;
        var bytes = Encoding.UTF8.GetBytes(path);
        var head = new byte[SourceRecord.HeadBytes];
        SourceRecord.WriteHead(head, id, bytes.Length);
        Assert.True(_log.TryAppend(RecordKind.Source, head, bytes, out var sequence));
        _stated.Add(path);
        return _sources[path] = id == 0 ? sequence : id;
    }
}
