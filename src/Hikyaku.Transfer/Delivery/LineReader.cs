using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// Reads one log for one pump: writes become lines per open file, received chunks are lines already. Lines whose path no
/// pattern matches are counted and passed over. Records are taken whole, so a position between records says everything.
/// </summary>
internal sealed class LineReader : IDisposable
{
    private const int SourcesMax = 65_536;

    private sealed class Known(LineSource source, SourceCount count)
    {
        public LineSource Source { get; } = source;
        public SourceCount Count { get; } = count;
    }

    private sealed class OpenFile(ulong source, ulong handle, byte[] path)
    {
        public ulong Source { get; } = source;
        public ulong Handle { get; } = handle;
        public byte[] Path { get; } = path;
        public LineAssembler Lines { get; } = new();
        public Known? Known { get; set; }
    }

    private readonly ILogStorage _storage;
    private readonly byte[] _host;
    private readonly PathMatch _match;
    private readonly Action<string> _report;
    private readonly Dictionary<ulong, byte[]> _paths = [];
    private readonly Dictionary<ulong, OpenFile> _files = [];
    private readonly HashSet<OpenFile> _unfinished = [];
    private readonly Dictionary<SourceKey, Known> _known = [];
    private readonly Dictionary<SourceName, SourceCount> _counts = [];
    private readonly Lock _countsLock = new();
    private readonly List<Known?> _common = [];
    private readonly EntryScratch _scratch = new();
    private LogReader _log;
    private Known? _last;
    private long _missed;
    private long _damaged;

    public LineReader(ILogStorage storage, string host, PathMatch match, Action<string> report)
    {
        _storage = storage;
        _host = Encoding.UTF8.GetBytes(host);
        _match = match;
        _report = report;
        _log = new LogReader(storage, 0) { Report = report };
    }

    public Guid Log => _log.Identity;

    /// <summary>Sequence of the next record.</summary>
    public ulong Position => _log.Position;

    public long Missed => _missed + _log.Missed;
    public long DamagedRegions => _damaged + _log.DamagedRegions;

    /// <summary>Entries of received chunks that could not be read.</summary>
    public long Malformed { get; private set; }

    /// <summary>Lines cut because they were longer than the limit.</summary>
    public long Cut { get; private set; }

    /// <summary>Continues at <paramref name="position"/> with the unfinished lines that were saved there.</summary>
    public void Seek(ulong position, ReadOnlySpan<byte> tails)
    {
        _paths.Clear();
        _files.Clear();
        _unfinished.Clear();
        // Sources are stated again in each segment: take those from its first record on.
        using (var sources = new LogReader(_storage, SegmentOf(position)))
        {
            while (sources.Position < position && sources.TryRead(out var record) && record.Sequence < position)
            {
                if (record.Kind == RecordKind.Source)
                    Learn(record);
            }
        }

        Reopen(position);
        RestoreTails(tails);
    }

    /// <summary>
    /// Reads records into <paramref name="chunk"/> until it is full or the log ends. With a bound all records before
    /// <paramref name="to"/> are read, full or not: a chunk that is packed again may need more room than it did.
    /// True if any record was read.
    /// </summary>
    /// <param name="to">The first record that is not read; 0: no such bound.</param>
    public bool Fill(Chunk chunk, ulong to)
    {
        var any = false;
        while ((to == 0 ? !chunk.IsFull : _log.Position < to) && _log.TryRead(out var record))
        {
            any = true;
            if (to != 0 && record.Sequence >= to)
            {
                // What lay before the bound was only the log's own; this record is the next chunk's.
                Reopen(to);
                break;
            }

            switch (record.Kind)
            {
                case RecordKind.Write:
                    ReadWrite(chunk, record);
                    break;
                case RecordKind.Close:
                    ReadClose(chunk, record);
                    break;
                case RecordKind.Source:
                    Learn(record);
                    break;
                case RecordKind.Chunk:
                    ReadChunk(chunk, record);
                    break;
            }
        }

        return any;
    }

    /// <summary>Writes the unfinished lines, to be given to <see cref="Seek"/>.</summary>
    public void SaveTails(ByteBuffer target)
    {
        foreach (var file in _unfinished)
        {
            MessagePackWriter.WriteArrayHeader(target, 4);
            MessagePackWriter.WriteUnsigned(target, file.Source);
            MessagePackWriter.WriteUnsigned(target, file.Handle);
            MessagePackWriter.WriteBinary(target, file.Path);
            MessagePackWriter.WriteBinary(target, file.Lines.Tail);
        }
    }

    public SourceStatus[] Sources()
    {
        lock (_countsLock)
            return [.. _counts.Values.Select(static c => c.Status())];
    }

    public void Dispose() => _log.Dispose();

    private void Reopen(ulong position)
    {
        _missed += _log.Missed;
        _damaged += _log.DamagedRegions;
        _log.Dispose();
        _log = new LogReader(_storage, position) { Report = _report };
    }

    private ulong SegmentOf(ulong position)
    {
        ulong start = 0;
        foreach (var name in _storage.List())
        {
            if (name.Length >= 20 && ulong.TryParse(name.AsSpan(0, 20), out var first) && first <= position && first > start
                && (name.EndsWith(".open", StringComparison.Ordinal) || name.EndsWith(".sealed", StringComparison.Ordinal)))
                start = first;
        }

        return start == 0 ? position : start;
    }

    private void RestoreTails(ReadOnlySpan<byte> tails)
    {
        var reader = new MessagePackReader(tails);
        while (!reader.AtEnd && reader.ReadArray(out _) == ReadResult.Success
            && reader.Read(out var source) == ReadResult.Success && reader.Read(out var handle) == ReadResult.Success
            && reader.Read(out var path) == ReadResult.Success && reader.Read(out var tail) == ReadResult.Success)
        {
            var file = new OpenFile(source.Number, handle.Number, path.Payload.ToArray());
            file.Lines.Restore(tail.Payload);
            _files[handle.Number] = file;
            _unfinished.Add(file);
        }
    }

    private void Learn(in LogRecord record)
    {
        if (SourceRecord.TryParse(record.Body, out var source))
            _paths.TryAdd(source.Id == 0 ? record.Sequence : source.Id, source.Path.ToArray());
    }

    private void ReadWrite(Chunk chunk, in LogRecord record)
    {
        if (!WriteRecord.TryParse(record.Body, out var write))
        {
            Malformed++;
            return;
        }

        if (!_files.TryGetValue(write.Handle, out var file))
            file = AddFile(write.Source, write.Handle);
        var known = file.Known;
        if (known is null || known.Source.Pid != write.Pid || known.Source.Uid != write.Uid)
            file.Known = known = Find(_host, file.Path, write.Pid, write.Uid);

        var count = known.Count;
        if (!count.Matched)
        {
            count.Add(0, write.Data.Length, write.Time);
            return;
        }

        var lines = file.Lines;
        var before = chunk.Lines;
        var cut = lines.Cut;
        var data = write.Data;
        while (lines.TryNext(ref data, out var text))
            chunk.Add(new Line(known.Source, write.Time, text));
        count.Add(chunk.Lines - before, write.Data.Length, write.Time);
        Cut += lines.Cut - cut;
        if (lines.Tail.Length > 0)
            _unfinished.Add(file);
        else if (_unfinished.Count > 0)
            _unfinished.Remove(file);
    }

    private void ReadClose(Chunk chunk, in LogRecord record)
    {
        if (!CloseRecord.TryParse(record.Body, out var close) || !_files.Remove(close.Handle, out var file))
            return;
        _unfinished.Remove(file);
        if (!file.Lines.TryEnd(out var text))
            return;
        var known = file.Known ?? Find(_host, file.Path, 0, 0);
        if (!known.Count.Matched)
            return;
        chunk.Add(new Line(known.Source, close.Time, text));
        known.Count.Add(1, 0, close.Time);
    }

    private OpenFile AddFile(ulong source, ulong handle)
    {
        var file = new OpenFile(source, handle, _paths.TryGetValue(source, out var path) ? path : []);
        _files.Add(handle, file);
        return file;
    }

    private void ReadChunk(Chunk chunk, in LogRecord record)
    {
        if (!ChunkRecord.TryParse(record.Body, out var received))
        {
            Malformed++;
            return;
        }

        _common.Clear();
        var entries = new EntryReader(received.EntriesBytes, received.Common, _scratch);
        while (entries.TryRead(out var entry))
        {
            var known = KnownOf(entry, received);
            var time = entry.Time == 0 ? received.Time : entry.Time;
            if (known.Count.Matched)
                chunk.Add(new Line(known.Source, time, entry.Message));
            known.Count.Add(1, entry.Message.Length, time);
        }

        Malformed += entries.Broken;
    }

    private Known KnownOf(in Entry entry, in ChunkRecord received)
    {
        var common = entry.Common;
        if (common >= 0 && common < _common.Count && _common[common] is { } found)
            return found;
        // A foreign sender may name neither host nor path: then its address and its tag are the best names there are.
        var fields = entry.Fields;
        var known = Find(fields.Host.IsEmpty ? received.Peer : fields.Host, fields.Path.IsEmpty ? received.Tag : fields.Path, fields.Pid ?? 0, fields.Uid ?? 0);
        if (common >= 0)
        {
            while (_common.Count <= common)
                _common.Add(null);
            _common[common] = known;
        }

        return known;
    }

    private Known Find(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path, uint pid, uint uid)
    {
        if (_last is { } last && last.Source.Pid == pid && last.Source.Uid == uid && path.SequenceEqual(last.Source.Path) && host.SequenceEqual(last.Source.Host))
            return last;
        var key = new SourceKey(SourceName.Hash(host, path), pid, uid);
        if (!_known.TryGetValue(key, out var known) || !path.SequenceEqual(known.Source.Path) || !host.SequenceEqual(known.Source.Host))
        {
            if (_known.Count >= SourcesMax)
                _known.Clear();
            var source = new LineSource(host.ToArray(), path.ToArray(), pid, uid);
            _known[key] = known = new Known(source, CountOf(source));
        }

        return _last = known;
    }

    private SourceCount CountOf(LineSource source)
    {
        lock (_countsLock)
        {
            var name = new SourceName(Encoding.UTF8.GetString(source.Host), Encoding.UTF8.GetString(source.Path));
            if (_counts.TryGetValue(name, out var count))
                return count;
            count = new SourceCount(name, _match.Matches(source.Path));
            if (_counts.Count < SourcesMax)
                _counts.Add(name, count);
            return count;
        }
    }
}
