using System.Numerics;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// Reads one log for one pump: writes and extents become lines per open file, received chunks are lines already. Lines whose path no
/// pattern matches are counted and passed over.
/// </summary>
internal sealed class LineReader : IDisposable
{
    // Beyond this many sources the caches start anew; the counts of further ones are not kept.
    private const int SourcesMax = 16_384;

    // What other hosts call themselves and their files is cut to what a Linux host could mean.
    private const int HostBytesMax = 255, PathBytesMax = 4096;

    // An extent may be longer than memory: it is read in pieces.
    private const int PieceBytes = 256 << 10;

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

        /// <summary>Who wrote the unfinished line that was restored.</summary>
        public uint Pid { get; init; }
        public uint Uid { get; init; }

        /// <summary>Number of the backing file that its extents lie in; null if it has none.</summary>
        public ulong? Backing { get; set; }

        /// <summary>That bytes of it are gone was reported.</summary>
        public bool IsToldOf { get; set; }
    }

    // Where a chunk may end within a record.
    private enum Ending
    {
        AtBound,
        Full,
        Overfull,
    }

    private readonly ILogStorage _storage;
    private readonly byte[] _host;
    private readonly PathMatch _match;
    private readonly Func<ulong>? _end;
    private readonly Action<string> _report;
    private readonly Dictionary<ulong, byte[]> _paths = [];
    private readonly Dictionary<ulong, OpenFile> _files = [];
    private readonly HashSet<OpenFile> _unfinished = [];
    private readonly Dictionary<SourceKey, Known> _known = [];
    private readonly Dictionary<SourceName, SourceCount> _counts = [];
    private readonly Lock _countsLock = new();
    private readonly List<Known?> _common = [];
    private readonly EntryScratch _scratch = new();
    private byte[] _piece = [];
    private LogReader _log;
    private Known? _last;
    private ulong _segment;
    private long _gaps;
    private long _missed;
    private long _damaged;
    private ulong _passed;

    // Of the record read next: what is taken already, and what may be taken; see LogPosition.Taken.
    private long _skip;
    private long _limit;
    private long _taken;

    // Of a backlog nothing may be let through, and rules take their time: the pump must be able to stop, and to move its cursor.
    private const long ReadMax = 4 << 20;
    private long _read;

    // Up to here the counts go, whatever is read again; and of the record read next what they have already: -1 nothing, long.MaxValue all.
    private LogPosition _counted;
    private long _done;

    /// <param name="storage">The log.</param>
    /// <param name="host">The name of this host.</param>
    /// <param name="match">Which paths are carried.</param>
    /// <param name="end">Records from this sequence on are not to be passed on yet; null: whatever is there may be.</param>
    /// <param name="report">Takes what people should know.</param>
    public LineReader(ILogStorage storage, string host, PathMatch match, Func<ulong>? end, Action<string> report)
    {
        _end = end;
        _storage = storage;
        _host = Encoding.UTF8.GetBytes(host);
        _match = match;
        _report = report;
        _log = new LogReader(storage, 0) { Report = report };
        // The identity stands in the first segment; Seek starts anew.
        _log.TryRead(out _);
        Log = _log.Identity;
    }

    /// <summary>The log's identity; empty if it has no segment yet.</summary>
    public Guid Log { get; }

    /// <summary>What becomes of each line; null: all pass.</summary>
    public LineRules? Rules { get; init; }

    /// <summary>Each write is one message, and its bytes are not looked at. What stands in files underneath is lines all the same: nobody knows what was written at once.</summary>
    public bool IsMessage { get; init; }

    /// <summary>Where extents lie, its owner's to dispose; null: nowhere, and the first extent is an error.</summary>
    public BackingFiles? Backing { get; init; }

    /// <summary>What is read next.</summary>
    public LogPosition Position => new(_log.Position, _skip);

    public long Missed => _missed + _log.Missed;
    public long DamagedRegions => _damaged + _log.DamagedRegions;

    /// <summary>Records and entries that could not be read.</summary>
    public long Malformed { get; private set; }

    /// <summary>Bytes of extents that nobody has any more.</summary>
    public long Gone { get; private set; }

    /// <summary>Lines cut because they were longer than the limit.</summary>
    public long Cut { get; private set; }

    /// <summary>Continues at <paramref name="position"/> with the unfinished lines that were saved there.</summary>
    public void Seek(LogPosition position, ReadOnlySpan<byte> tails)
    {
        _paths.Clear();
        _files.Clear();
        _unfinished.Clear();
        // Sources are stated again in each segment: take those from its first record on.
        using (var sources = new LogReader(_storage, SegmentOf(position.Record)))
        {
            while (sources.Position < position.Record && sources.TryRead(out var record) && record.Sequence < position.Record)
            {
                if (record.Kind == RecordKind.Source)
                    Learn(record);
            }

            _segment = sources.SegmentStart;
        }

        Reopen(position.Record);
        _skip = position.Taken;
        _gaps = Missed + DamagedRegions;
        NotePassed();
        RestoreTails(tails);
    }

    /// <summary>
    /// Passes over the extents that every reader had passed before this one came, or came back: what they point to may not be there
    /// any more. To be called once more when the cursor is there, which holds the rest.
    /// </summary>
    public void NotePassed() => _passed = Backing is null ? 0 : PassedMark.Read(_storage.Location, Backing.Disk);

    /// <summary>
    /// Reads records into <paramref name="chunk"/> until it is full, the log ends, or <paramref name="to"/> is reached; with
    /// that bound, for a repetition, however full the chunk is. True if anything was read.
    /// </summary>
    public bool Fill(Chunk chunk, LogPosition? to)
    {
        var any = false;
        _read = 0;
        while (to is { } end ? Position < end : !chunk.IsFull && _read < ReadMax)
        {
            var at = _log.Position;
            if (_end is not null && at >= _end())
                break;
            var got = _log.TryRead(out var record);
            // A record that was begun and is gone: what is taken of it says nothing of the one behind.
            if ((got ? record.Sequence : _log.Position) != at)
                _skip = 0;
            if (!got)
                break;
            any = true;
            _read += record.Body.Length;
            NoteSegment(chunk, record.Sequence);
            if (to is { } bound && record.Sequence >= bound.Record && !(record.Sequence == bound.Record && bound.Taken > 0))
            {
                // What lay before the bound was only the log's own; this record is the next chunk's.
                Reopen(bound.Record);
                _skip = record.Sequence > bound.Record ? bound.Taken : 0;
                break;
            }

            _taken = 0;
            _done = _counted.Record > record.Sequence ? long.MaxValue : _counted.Record == record.Sequence ? _counted.Taken : -1;
            _limit = to is { } last && record.Sequence == last.Record ? last.Taken : long.MaxValue;
            if (ReadRecord(chunk, record, bounded: to is null))
            {
                _skip = 0;
                NoteCounted(new LogPosition(record.Sequence + 1, -1));
                continue;
            }

            NoteCounted(new LogPosition(record.Sequence, _taken));

            // The record goes on in the next chunk.
            _log.StepBack();
            _skip = _taken;
            break;
        }

        return any;
    }

    /// <summary>Writes the unfinished lines, to be given to <see cref="Seek"/>.</summary>
    public void SaveTails(ByteBuffer target)
    {
        foreach (var file in _unfinished)
        {
            var writer = KnownOf(file).Source;
            MessagePackWriter.WriteArrayHeader(target, 6);
            MessagePackWriter.WriteUnsigned(target, file.Source);
            MessagePackWriter.WriteUnsigned(target, file.Handle);
            MessagePackWriter.WriteBinary(target, file.Path);
            MessagePackWriter.WriteBinary(target, file.Lines.Tail);
            MessagePackWriter.WriteUnsigned(target, writer.Pid);
            MessagePackWriter.WriteUnsigned(target, writer.Uid);
        }
    }

    public SourceStatus[] Sources()
    {
        lock (_countsLock)
            return [.. _counts.Values.Select(static c => c.Status())];
    }

    public void Dispose() => _log.Dispose();

    private void NoteCounted(LogPosition position)
    {
        if (position > _counted)
            _counted = position;
    }

    // Of so many bytes up to this place in the record.
    private long Uncounted(long to, long bytes) => _done < 0 ? bytes : Math.Clamp(to - _done, 0, bytes);

    private bool IsNew => _done < long.MaxValue;

    private void CountMalformed(long count)
    {
        if (IsNew)
            Malformed += count;
    }

    private void Reopen(ulong position)
    {
        _missed += _log.Missed;
        _damaged += _log.DamagedRegions;
        _log.Dispose();
        _log = new LogReader(_storage, position) { Report = _report };
        _skip = 0;
    }

    private ulong SegmentOf(ulong position) =>
        LogReader.SegmentStarts(_storage).FindLast(start => start <= position) is > 0 and var start ? start : position;

    private void RestoreTails(ReadOnlySpan<byte> tails)
    {
        var reader = new MessagePackReader(tails);
        while (!reader.AtEnd && reader.ReadArray(out var fields) == ReadResult.Success
            && reader.Read(out var source) == ReadResult.Success && reader.Read(out var handle) == ReadResult.Success
            && reader.Read(out var path) == ReadResult.Success && reader.Read(out var tail) == ReadResult.Success)
        {
            // Versions before 0.2 did not note who wrote.
            MessagePackToken pid = default, uid = default;
            if (fields >= 6 && (reader.Read(out pid) != ReadResult.Success || reader.Read(out uid) != ReadResult.Success))
                break;
            var file = new OpenFile(source.Number, handle.Number, path.Payload.ToArray()) { Pid = (uint)pid.Number, Uid = (uint)uid.Number };
            file.Lines.Restore(tail.Payload);
            _files[handle.Number] = file;
            _unfinished.Add(file);
        }
    }

    private void NoteSegment(Chunk chunk, ulong sequence)
    {
        if (_log.SegmentStart != _segment)
        {
            // Each segment states its sources itself.
            _segment = _log.SegmentStart;
            _paths.Clear();
        }

        var gaps = Missed + DamagedRegions;
        if (gaps == _gaps)
            return;
        // What follows a gap does not continue what came before it.
        _gaps = gaps;
        foreach (var file in _unfinished)
        {
            var known = KnownOf(file);
            if (file.Lines.TryEnd(out var text) && known.Count.Matched)
                Give(chunk, known, new LineBlock(known.Source, 0, text), isNew: true);
        }

        _unfinished.Clear();
        _report($"{_storage.Location}: records before {sequence} are missing; unfinished lines before the gap were ended there");
    }

    // False: the chunk ended, or the bound was met, inside the record.
    private bool ReadRecord(Chunk chunk, in LogRecord record, bool bounded)
    {
        switch (record.Kind)
        {
            case RecordKind.Write:
                return ReadWrite(chunk, record, bounded);
            case RecordKind.Extent when record.Sequence < _passed:
                return true;
            case RecordKind.Extent:
                return ReadExtent(chunk, record, bounded);
            case RecordKind.Close:
                ReadClose(chunk, record);
                return true;
            case RecordKind.Source:
                Learn(record);
                return true;
            case RecordKind.Chunk:
                return ReadChunk(chunk, record, bounded);
            default:
                return true;
        }
    }

    private void Learn(in LogRecord record)
    {
        if (SourceRecord.TryParse(record.Body, out var source))
            _paths[source.Id == 0 ? record.Sequence : source.Id] = source.Path.ToArray();
    }

    private bool ReadWrite(Chunk chunk, in LogRecord record, bool bounded)
    {
        if (!WriteRecord.TryParse(record.Body, out var write) || FileOf(write.Source, write.Handle) is not { } file)
        {
            CountMalformed(1);
            return true;
        }

        var known = KnownOf(file, write.Pid, write.Uid, IsMessage);
        var length = write.Data.Length;
        if (!known.Count.Matched)
        {
            known.Count.Add(0, Uncounted(length, length), write.Time);
            return true;
        }

        var from = (int)Math.Min(_skip, length);
        if (IsMessage)
            return TakeMessage(chunk, known, write.Time, write.Data, from);
        return TakeLines(chunk, file, known, write.Time, write.Data[from..], from, length, bounded ? Ending.Overfull : Ending.AtBound);
    }

    private bool ReadExtent(Chunk chunk, in LogRecord record, bool bounded)
    {
        if (!ExtentRecord.TryParse(record.Body, out var extent) || FileOf(extent.Source, extent.Handle) is not { } file)
        {
            CountMalformed(1);
            return true;
        }

        file.Backing = extent.File;
        var known = KnownOf(file, extent.Pid, extent.Uid, isMessage: false);
        var length = (long)(extent.To - extent.From);
        if (!known.Count.Matched)
        {
            known.Count.Add(0, Uncounted(length, length), extent.Time);
            return true;
        }

        if (Backing is null)
            throw new IOException($"{_storage.Location}: record {record.Sequence} stands in a file underneath the mount, and where that is was not said");
        if (_piece.Length < Math.Min(length, PieceBytes))
            _piece = new byte[BitOperations.RoundUpToPowerOf2((uint)Math.Min(length, PieceBytes))];
        for (var from = _skip; from < length;)
        {
            var piece = _piece.AsSpan(0, (int)Math.Min(_piece.Length, length - from));
            var got = Backing.Read(extent, from, piece);
            _read += got;
            // A chunk may end wherever a line does: many of them may be in one extent, and stepping back costs next to nothing.
            if (!TakeLines(chunk, file, known, extent.Time, piece[..got], from, length, bounded ? Ending.Full : Ending.AtBound))
                return false;
            from += got;
            if (got == piece.Length)
                continue;
            Gone += Uncounted(length, length - from);
            EndLine(chunk, file, known, extent.Time);
            if (!file.IsToldOf && IsNew)
                _report($"{Encoding.UTF8.GetString(file.Path)}: bytes {extent.From + (ulong)from} to {extent.To} are lost: {Backing.Loss}");
            file.IsToldOf = true;
            break;
        }

        return true;
    }

    // Takes lines out of what stands behind the first bytes of a record. False: the chunk ended, or the bound was met, before all
    // of the record's bytes were taken.
    private bool TakeLines(Chunk chunk, OpenFile file, Known known, long time, ReadOnlySpan<byte> data, long from, long length, Ending ending)
    {
        var lines = file.Lines;
        var fresh = 0L;
        var cut = lines.Cut;
        var whole = true;
        var end = from + data.Length;
        while (lines.TryNext(ref data, _limit - (end - data.Length), out var text, out var count))
        {
            _taken = end - data.Length;
            Give(chunk, known, new LineBlock(known.Source, time, text, count), isNew: _taken > _done);
            if (_taken > _done)
                fresh += count;
            // Never before anything of the record is taken: that place would be the end of the record before, and this line its own.
            if (_taken > _skip && _taken < length && (_taken == _limit || (ending == Ending.Full && (chunk.IsFull || _read >= ReadMax)) || (ending == Ending.Overfull && chunk.IsOverfull)))
            {
                whole = false;
                break;
            }
        }

        var to = whole ? end : _taken;
        known.Count.Add(fresh, Uncounted(to, to - from), time);
        if (to > _done)
            Cut += lines.Cut - cut;
        if (lines.Tail.Length > 0)
            _unfinished.Add(file);
        else if (_unfinished.Count > 0)
            _unfinished.Remove(file);
        return whole;
    }

    // All of it or, for a bound that was set when it was still lines, what lies behind that or before.
    private bool TakeMessage(Chunk chunk, Known known, long time, ReadOnlySpan<byte> data, int from)
    {
        _taken = Math.Min(_limit, data.Length);
        var message = data[Math.Min(from, (int)_taken)..(int)_taken];
        var isNew = _taken > _done;
        known.Count.Add(isNew ? 1 : 0, Uncounted(_taken, message.Length), time);
        Give(chunk, known, new LineBlock(known.Source, time, message), isNew);
        return _taken == data.Length;
    }

    private void EndLine(Chunk chunk, OpenFile file, Known known, long time)
    {
        _unfinished.Remove(file);
        if (!file.Lines.TryEnd(out var text) || !known.Count.Matched)
            return;
        Give(chunk, known, new LineBlock(known.Source, time, text), IsNew);
        known.Count.Add(IsNew ? 1 : 0, 0, time);
    }

    private void ReadClose(Chunk chunk, in LogRecord record)
    {
        if (!CloseRecord.TryParse(record.Body, out var close) || !_files.Remove(close.Handle, out var file))
            return;
        EndLine(chunk, file, KnownOf(file), close.Time);
        // Nobody writes to it any more, so it may be deleted: then it should give its room back.
        if (file.Backing is { } backing)
            Backing?.Close(backing);
    }

    // Who wrote to it last, in this life or one before.
    private Known KnownOf(OpenFile file) => file.Known ??= Find(_host, file.Path, file.Pid, file.Uid, isMessage: false);

    private Known KnownOf(OpenFile file, uint pid, uint uid, bool isMessage)
    {
        var known = file.Known;
        if (known is null || known.Source.Pid != pid || known.Source.Uid != uid || known.Source.IsMessage != isMessage)
            file.Known = known = Find(_host, file.Path, pid, uid, isMessage);
        return known;
    }

    private OpenFile? FileOf(ulong source, ulong handle)
    {
        if (_files.TryGetValue(handle, out var file))
            return file;
        if (!_paths.TryGetValue(source, out var path))
            return null;
        file = new OpenFile(source, handle, path);
        _files.Add(handle, file);
        return file;
    }

    private bool ReadChunk(Chunk chunk, in LogRecord record, bool bounded)
    {
        if (!ChunkRecord.TryParse(record.Body, out var received))
        {
            CountMalformed(1);
            return true;
        }

        _common.Clear();
        var entries = new EntryReader(received.EntriesBytes, received.Common, _scratch);
        while (entries.TryRead(out var entry))
        {
            if (!TakeEntry(chunk, entry, received, isLast: entries.Position == received.EntriesBytes.Length, bounded))
                return false;
        }

        CountMalformed(entries.Broken);
        return true;
    }

    // A line, or a block of which some lines may be another chunk's. False: the chunk ended, or the bound was met, before the last
    // line of the record.
    private bool TakeEntry(Chunk chunk, in Entry entry, in ChunkRecord received, bool isLast, bool bounded)
    {
        var text = entry.Message;
        var left = entry.Lines;
        if (_taken + left <= _skip)
        {
            _taken += left;
            return true;
        }

        for (; _taken < _skip; _taken++, left--)
            LineBlock.TakeLine(ref text);
        var known = KnownOf(entry, received);
        var time = entry.Time == 0 ? received.Time : entry.Time;
        while (left > 0)
        {
            var lines = LineBlock.Take(ref text, left, _limit - _taken, out var count);
            left -= count;
            _taken += count;
            var fresh = Uncounted(_taken, count);
            known.Count.Add(fresh, fresh > 0 ? lines.Length + 1 - count : 0, time);
            if (known.Count.Matched)
                AddPieces(chunk, known, new LineBlock(known.Source, time, lines, count));
            if ((left > 0 || !isLast) && (_taken == _limit || (bounded && chunk.IsOverfull)))
                return false;
        }

        return true;
    }

    private void AddPieces(Chunk chunk, Known known, in LineBlock lines)
    {
        var text = lines.Text;
        var isNew = _taken > _done;
        if (lines.Count > 1 || text.Length <= LineAssembler.LineBytesMax)
        {
            Give(chunk, known, lines, isNew);
            return;
        }

        for (; text.Length > LineAssembler.LineBytesMax; text = text[LineAssembler.LineBytesMax..])
        {
            Give(chunk, known, new LineBlock(lines.Source, lines.Time, text[..LineAssembler.LineBytesMax]), isNew);
            if (isNew)
                Cut++;
        }

        Give(chunk, known, new LineBlock(lines.Source, lines.Time, text), isNew);
    }

    // What is too old for the chunk, or does not pass the rules, ends here, and is counted.
    private void Give(Chunk chunk, Known known, in LineBlock lines, bool isNew)
    {
        if (lines.Time < chunk.Oldest && lines.Time > 0)
        {
            if (isNew && known.Count.AddExpired(lines.Count))
                _report($"{NameOf(known)}: lines older than the route's 'expire' are not carried; they are counted");
            return;
        }

        if (Rules is null)
        {
            chunk.Add(lines);
            return;
        }

        (Rules.Denied, Rules.TooLong) = (0, 0);
        Rules.Pass(chunk, lines);
        if (isNew && known.Count.AddStopped(Rules.Denied, Rules.TooLong))
            _report($"{NameOf(known)}: lines longer than the route's 'longest' are not carried; they are counted");
    }

    private static string NameOf(Known known) => $"{Encoding.UTF8.GetString(known.Source.Host)}:{Encoding.UTF8.GetString(known.Source.Path)}";

    private Known KnownOf(in Entry entry, in ChunkRecord received)
    {
        var common = entry.Common;
        if (common >= 0 && common < _common.Count && _common[common] is { } found)
            return found;
        // A foreign sender may name neither host nor path: then its address and its tag are the best names there are.
        var fields = entry.Fields;
        var host = fields.Host.IsEmpty ? received.Peer : fields.Host;
        var path = fields.Path.IsEmpty ? received.Tag : fields.Path;
        var known = Find(host[..Math.Min(host.Length, HostBytesMax)], path[..Math.Min(path.Length, PathBytesMax)], fields.Pid ?? 0, fields.Uid ?? 0, fields.IsMessage);
        if (common >= 0)
        {
            while (_common.Count <= common)
                _common.Add(null);
            _common[common] = known;
        }

        return known;
    }

    private Known Find(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path, uint pid, uint uid, bool isMessage)
    {
        if (_last is { } last && last.Source.Pid == pid && last.Source.Uid == uid && last.Source.IsMessage == isMessage && path.SequenceEqual(last.Source.Path) && host.SequenceEqual(last.Source.Host))
            return last;
        var key = new SourceKey(SourceName.Hash(host, path), pid, uid, isMessage);
        if (!_known.TryGetValue(key, out var known) || !path.SequenceEqual(known.Source.Path) || !host.SequenceEqual(known.Source.Host))
        {
            if (_known.Count >= SourcesMax)
                _known.Clear();
            var source = new LineSource(host.ToArray(), path.ToArray(), pid, uid, isMessage);
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
