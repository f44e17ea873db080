using System.Buffers.Binary;
using Hikyaku.Forward;
using Hikyaku.Log;

namespace Hikyaku.Transfer.Delivery;

/// <summary>A chunk as the journal knows it.</summary>
internal sealed record JournaledChunk(ulong Number, LogPosition From, LogPosition To, long Lines, long Bytes, byte[] Note, byte[] Tails)
{
    /// <summary>The latest.</summary>
    public byte[] Note { get; set; } = Note;

    /// <summary>Delivered, while an earlier one is not.</summary>
    public bool Acknowledged { get; set; }

    /// <summary>Lines from before this time were too old for it; 0: none were.</summary>
    public long Oldest { get; init; }
}

/// <summary>Where a pump stands: everything below <see cref="Position"/> is delivered, and these are the unfinished lines at that place.</summary>
internal sealed record JournalBase(LogPosition Position, ulong NextNumber, long Lines, long Bytes, byte[] Tails);

/// <summary>
/// What a pump must remember over a crash: each chunk is written here before it is delivered, so that a repetition holds the
/// same lines under the same number. Format in docs/LOG_FORMAT.md. The numbers belong to a series that is drawn with a new journal, so
/// that a lost one never leads to a number that a receiver has seen with other lines.
/// </summary>
internal sealed class Journal : IDisposable
{
    private const byte KindEarlierChunk = 2, KindAcknowledge = 3, KindBase = 4, KindBoot = 5, KindNote = 6, KindLoneChunk = 7, KindChunk = 8;
    private const int HeaderBytes = 9; // u32 length of the body, u32 CRC32C of kind and body, u8 kind
    private const int BaseBytes = 92, EarlierChunkBytes = 64, ChunkBytes = 72, AcknowledgeBytes = 8, BootBytes = 40, NoteBytes = 12; // bodies without what is of variable length
    private const int CompactBytes = 1 << 20;

    // Allocated ahead: a full disk must not keep lines from leaving, for it is their leaving that frees it.
    private const int AllocatedBytes = 4 << 20;

    private readonly string _path;
    private readonly Guid _log;
    private readonly Disk _disk;
    private readonly bool _sync;
    private readonly ByteBuffer _pending = new();
    private readonly Queue<JournaledChunk> _open = new();
    private byte[] _lastTails = []; // after the last chunk
    private DiskFile? _file;
    private long _length;
    private long _compactAt;
    private bool _isSynced;
    private bool _isNameDurable;
    private bool _mustRewrite;

    private Journal(string path, Guid log, Disk disk, bool sync)
    {
        _path = path;
        _log = log;
        _disk = disk;
        _sync = sync;
        Base = new JournalBase(LogPosition.Start, 1, 0, 0, []);
    }

    /// <summary>Names the numbers: with another one the same number is another chunk.</summary>
    public Guid Series { get; private set; }

    /// <summary>Not known to be of this boot of the machine: outputs may end in what a loss of power left.</summary>
    public bool IsOfEarlierBoot { get; private set; }

    public JournalBase Base { get; private set; }

    /// <summary>Chunks above <see cref="Base"/>, in order; some may be acknowledged.</summary>
    public IReadOnlyCollection<JournaledChunk> Open => _open;

    /// <summary>The unfinished lines after the last chunk: where the next one begins.</summary>
    public byte[] Tails => _open.Count > 0 ? _open.Last().Tails : Base.Tails;

    /// <summary>Bytes of unfinished lines that are kept for open chunks.</summary>
    public long TailBytes
    {
        get
        {
            var (sum, before) = (0L, Base.Tails);
            foreach (var chunk in _open)
            {
                if (chunk.Tails != before)
                    sum += chunk.Tails.Length;
                before = chunk.Tails;
            }

            return sum;
        }
    }

    /// <summary>The lowest number that is not acknowledged, or the next one.</summary>
    public ulong Lowest => _open.TryPeek(out var chunk) ? chunk.Number : Base.NextNumber;

    /// <param name="cursor">The cursor file beside it: where to start if the journal is gone.</param>
    /// <param name="sync">Write each chunk through to the disk before it is delivered, so that numbers hold over a power loss too.</param>
    /// <param name="bootStart">The first record written since the machine was booted: after a loss of power the log may end before what the journal says.</param>
    public static Journal Load(string path, string cursor, Guid log, ulong bootStart, Disk disk, bool sync, Action<string> report)
    {
        var journal = new Journal(path, log, disk, sync);
        var state = journal.Replay(journal.ReadAll(), out var valid);
        journal.IsOfEarlierBoot = state is not Replayed.Whole;
        if (state is Replayed.OtherLog)
        {
            report($"{path}: belongs to another log, which is gone; starting at the oldest line of the present one");
            journal.Forget(LogPosition.Start);
        }
        else if (state is Replayed.Nothing)
        {
            var found = Cursor.TryRead(cursor, out var position, disk) && position > 1;
            journal.Forget(found ? new LogPosition(position, 0) : LogPosition.Start);
            if (found)
                report($"{path}: is missing or damaged; going on where the cursor stands, at record {position}");
        }
        else if (state is Replayed.OtherBoot)
        {
            // Chunks delivered shortly before the power went may be missing here; the same numbers must not meet other lines.
            if (!sync)
                journal.Renumber(Guid.NewGuid());
            journal.Shorten(new LogPosition(bootStart, 0));
        }

        journal.Begin(state, valid, bootStart);
        journal._lastTails = journal.Tails;
        return journal;
    }

    /// <summary>Writes the chunk, and all acknowledgements so far, in one call. Throws IOException and has then done nothing.</summary>
    public void Append(Chunk chunk, ReadOnlySpan<byte> note)
    {
        RewriteIfMust();
        // Unfinished lines that stay what they were are kept once, however many chunks pass them.
        var tails = chunk.Tails.Written.SequenceEqual(_lastTails) ? _lastTails : chunk.Tails.Written.ToArray();
        var entry = new JournaledChunk(chunk.Number, chunk.From, chunk.To, chunk.Lines, chunk.Bytes, note.ToArray(), tails) { Oldest = chunk.Oldest };
        var before = _pending.Length;
        Add(_pending, entry, _lastTails);
        try
        {
            Write(_sync);
        }
        catch (IOException)
        {
            _pending.Truncate(before);
            throw;
        }

        _open.Enqueue(entry);
        _lastTails = tails;
        if (_length > _compactAt)
            TryCompact();
    }

    /// <summary>An open chunk has another note from now on. Throws IOException and has then done nothing.</summary>
    public void Amend(ulong number, ReadOnlySpan<byte> note)
    {
        RewriteIfMust();
        var bytes = note.ToArray();
        var before = _pending.Length;
        var start = Begin(_pending, KindNote);
        AddNumber(_pending, number);
        AddBytes(_pending, bytes);
        End(_pending, start);
        try
        {
            Write(_sync);
        }
        catch (IOException)
        {
            _pending.Truncate(before);
            throw;
        }

        SetNote(number, bytes);
    }

    /// <summary>The unfinished lines where that open chunk begins.</summary>
    public byte[] TailsBefore(ulong number)
    {
        var tails = Base.Tails;
        foreach (var chunk in _open)
        {
            if (chunk.Number >= number)
                break;
            tails = chunk.Tails;
        }

        return tails;
    }

    /// <summary>A chunk is delivered. Becomes durable with the next <see cref="Append"/> or <see cref="Flush"/>.</summary>
    public void Acknowledge(ulong number)
    {
        Settle(number);
        Add(_pending, number);
    }

    /// <summary>
    /// Writes acknowledgements that no chunk has taken along, before a cursor lets records be retired that would be needed to repeat
    /// them. Throws IOException; they stay pending then.
    /// </summary>
    /// <param name="keepsHalves">Through to the disk, if lines are unfinished: of those that began in such records the first halves stand here alone.</param>
    public void Flush(bool keepsHalves)
    {
        RewriteIfMust();
        Write(_sync || (keepsHalves && Base.Tails.Length > 0));
    }

    public void Dispose()
    {
        try
        {
            Flush(keepsHalves: false);
        }
        catch (IOException)
        {
            // Unwritten acknowledgements only make the next life repeat what receivers recognise.
        }

        _file?.Dispose();
    }

    private void Forget(LogPosition position)
    {
        _open.Clear();
        Series = Guid.NewGuid();
        Base = new JournalBase(position, 1, 0, 0, []);
    }

    private void Renumber(Guid series)
    {
        _open.Clear();
        Series = series;
        Base = Base with { NextNumber = 1 };
    }

    // Records from here on are others than those that the journal knew; their numbers stay used.
    private void Shorten(LogPosition end)
    {
        var highest = _open.Count > 0 ? _open.Last().Number : Base.NextNumber - 1;
        if (Base.Position > end)
        {
            _open.Clear();
            Base = Base with { Position = end, NextNumber = highest + 1, Tails = [] };
            return;
        }

        var all = _open.ToArray();
        _open.Clear();
        foreach (var chunk in all)
        {
            if (chunk.To <= end)
                _open.Enqueue(chunk);
            else if (chunk.From < end)
                _open.Enqueue(chunk with { To = end, Tails = [] });
        }

        if (all.Length > 0 && all[^1].To > end)
            _open.Enqueue(new JournaledChunk(highest + 1, end, end, 0, 0, [], []) { Acknowledged = true });
    }

    private void Settle(ulong number)
    {
        foreach (var chunk in _open)
        {
            if (chunk.Number != number)
                continue;
            chunk.Acknowledged = true;
            break;
        }

        while (_open.TryPeek(out var first) && first.Acknowledged)
        {
            _open.Dequeue();
            Base = new JournalBase(first.To, first.Number + 1, Base.Lines + first.Lines, Base.Bytes + first.Bytes, first.Tails);
        }
    }

    private void SetNote(ulong number, byte[] note)
    {
        foreach (var chunk in _open)
        {
            if (chunk.Number == number)
                chunk.Note = note;
        }
    }

    private void Write(bool sync)
    {
        if (_pending.Length > 0)
        {
            _isSynced = false;
            _file!.Write(_pending.Written, _length);
        }

        if (sync && !(_isSynced && _isNameDurable))
        {
            _mustRewrite = true;
            _file!.Sync();
            SyncName();
            _mustRewrite = false;
            _isSynced = true;
        }

        _length += _pending.Length;
        _pending.Clear();
    }

    // The kernel forgets what it could not sync, also what was written before; only a new file is sound.
    private void RewriteIfMust()
    {
        if (_mustRewrite)
            Rewrite();
        _mustRewrite = false;
    }

    private void SyncName()
    {
        if (!_isNameDurable)
            _disk.SyncDirectory(Path.GetDirectoryName(_path)!);
        _isNameDurable = true;
    }

    // Starts a new file; on a full disk goes on in the old one, in the room it has.
    private void Begin(Replayed state, long valid, ulong bootStart)
    {
        try
        {
            Rewrite();
        }
        catch (IOException) when (valid > 0)
        {
            _file = _disk.OpenForWriting(_path, Opening.Own);
            _length = valid;
            _compactAt = _length + CompactBytes;
            // One entry each, so that a kill leaves all of it or nothing.
            if (state is Replayed.OtherBoot)
                AddBoot(_pending, bootStart);
            else if (state is Replayed.OtherLog)
                Add(_pending, Base);
            Write(_sync);
        }

        // Whatever the level: without the journal the first halves of unfinished lines are gone too.
        SyncName();
    }

    // On a full disk the old file goes on growing.
    private void TryCompact()
    {
        try
        {
            Rewrite();
        }
        catch (IOException)
        {
            _compactAt = _length + CompactBytes;
        }
    }

    private void Rewrite()
    {
        var whole = new ByteBuffer();
        AddAll(whole);
        var next = _path + ".new";
        var file = _disk.OpenForWriting(next, Opening.OwnAnew);
        try
        {
            file.Allocate(AllocatedBytes);
            file.Write(whole.Written, 0);
            file.Sync();
            _disk.Rename(next, _path);
        }
        catch
        {
            file.Dispose();
            throw;
        }

        _isSynced = true;
        _isNameDurable = false;
        _file?.Dispose();
        _file = file;
        _length = whole.Length;
        _compactAt = Math.Max(CompactBytes, 2 * _length);
        _pending.Clear();
    }

    private byte[] ReadAll()
    {
        using var file = _disk.Open(_path, Opening.Existing);
        if (file is null || !_disk.TryStat(_path, out _, out var length))
            return [];
        var bytes = new byte[length];
        return bytes[..file.Read(bytes, 0)];
    }

    private enum Replayed { Nothing, Whole, OtherLog, OtherBoot }

    private Replayed Replay(ReadOnlySpan<byte> bytes, out long valid)
    {
        var result = Replayed.Nothing;
        var all = bytes.Length;
        valid = 0;
        while (TryTake(ref bytes, out var kind, out var body) && (result != Replayed.Nothing || kind == KindBase))
        {
            valid = all - bytes.Length;
            switch (kind)
            {
                case KindBase:
                    // Written anew, or on a full disk behind what no longer counts.
                    _open.Clear();
                    result = new Guid(body[..16]) != _log ? Replayed.OtherLog : new Guid(body.Slice(16, 16)) == _disk.Boot ? Replayed.Whole : Replayed.OtherBoot;
                    Series = new Guid(body.Slice(32, 16));
                    body = body[48..];
                    Base = new JournalBase(TakePosition(ref body), TakeNumber(ref body), (long)TakeNumber(ref body), (long)TakeNumber(ref body), TakeBytes(ref body));
                    break;
                case KindChunk or KindLoneChunk or KindEarlierChunk:
                    // As versions before 0.2 wrote it, without the time of the oldest line.
                    var oldest = kind != KindEarlierChunk ? (long)TakeNumber(ref body) : 0;
                    _open.Enqueue(new JournaledChunk(TakeNumber(ref body), TakePosition(ref body), TakePosition(ref body),
                        (long)TakeNumber(ref body), (long)TakeNumber(ref body), TakeBytes(ref body), IsSame(body) ? Tails : TakeBytes(ref body)) { Oldest = oldest });
                    break;
                case KindBoot:
                    result = new Guid(body[..16]) == _disk.Boot ? Replayed.Whole : Replayed.OtherBoot;
                    if (new Guid(body.Slice(16, 16)) is var series && series != Series)
                        Renumber(series);
                    Shorten(new LogPosition(BinaryPrimitives.ReadUInt64LittleEndian(body[32..]), 0));
                    break;
                case KindAcknowledge:
                    Settle(TakeNumber(ref body));
                    break;
                case KindNote:
                    SetNote(TakeNumber(ref body), TakeBytes(ref body));
                    break;
            }
        }

        return result;
    }

    // A kill may leave a cut entry at the end, and nothing else: what follows a bad one was never relied upon.
    private static bool TryTake(ref ReadOnlySpan<byte> bytes, out byte kind, out ReadOnlySpan<byte> body)
    {
        kind = 0;
        body = default;
        if (bytes.Length < HeaderBytes)
            return false;
        var length = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (length > (uint)(bytes.Length - HeaderBytes))
            return false;
        var covered = bytes.Slice(8, 1 + (int)length);
        if (Crc32C.Compute(covered) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]))
            return false;
        kind = covered[0];
        body = covered[1..];
        bytes = bytes[(HeaderBytes + (int)length)..];
        return body.Length >= kind switch
        {
            KindBase => BaseBytes,
            KindChunk or KindLoneChunk => ChunkBytes,
            KindEarlierChunk => EarlierChunkBytes,
            KindAcknowledge => AcknowledgeBytes,
            KindBoot => BootBytes,
            KindNote => NoteBytes,
            _ => int.MaxValue,
        };
    }

    private void Add(ByteBuffer target, JournalBase state)
    {
        var start = Begin(target, KindBase);
        Span<byte> ids = stackalloc byte[48];
        _log.TryWriteBytes(ids);
        _disk.Boot.TryWriteBytes(ids[16..]);
        Series.TryWriteBytes(ids[32..]);
        target.Append(ids);
        AddPosition(target, state.Position);
        AddNumber(target, state.NextNumber);
        AddNumber(target, (ulong)state.Lines);
        AddNumber(target, (ulong)state.Bytes);
        AddBytes(target, state.Tails);
        End(target, start);
    }

    private void AddAll(ByteBuffer target)
    {
        Add(target, Base);
        var before = Base.Tails;
        foreach (var chunk in _open)
        {
            Add(target, chunk, before);
            before = chunk.Tails;
            if (chunk.Acknowledged)
                Add(target, chunk.Number);
        }
    }

    // What was done to the journal at the first start in a boot, where there is no room to write it anew.
    private void AddBoot(ByteBuffer target, ulong bootStart)
    {
        var start = Begin(target, KindBoot);
        Span<byte> ids = stackalloc byte[32];
        _disk.Boot.TryWriteBytes(ids);
        Series.TryWriteBytes(ids[16..]);
        target.Append(ids);
        AddNumber(target, bootStart);
        End(target, start);
    }

    private static void Add(ByteBuffer target, JournaledChunk chunk, byte[] before)
    {
        var start = Begin(target, KindChunk);
        AddNumber(target, (ulong)chunk.Oldest);
        AddNumber(target, chunk.Number);
        AddPosition(target, chunk.From);
        AddPosition(target, chunk.To);
        AddNumber(target, (ulong)chunk.Lines);
        AddNumber(target, (ulong)chunk.Bytes);
        AddBytes(target, chunk.Note);
        if (chunk.Tails == before)
            target.Append(Same);
        else
            AddBytes(target, chunk.Tails);
        End(target, start);
    }

    private static void Add(ByteBuffer target, ulong acknowledged)
    {
        var start = Begin(target, KindAcknowledge);
        AddNumber(target, acknowledged);
        End(target, start);
    }

    private static int Begin(ByteBuffer target, byte kind)
    {
        var start = target.Length;
        Span<byte> header = stackalloc byte[HeaderBytes];
        header.Clear();
        header[8] = kind;
        target.Append(header);
        return start;
    }

    private static void End(ByteBuffer target, int start)
    {
        var entry = target.At(start, target.Length - start);
        BinaryPrimitives.WriteUInt32LittleEndian(entry, (uint)(entry.Length - HeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], Crc32C.Compute(entry[8..]));
    }

    private static void AddPosition(ByteBuffer target, LogPosition position)
    {
        AddNumber(target, position.Record);
        AddNumber(target, (ulong)position.Taken);
    }

    private static void AddNumber(ByteBuffer target, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        target.Append(bytes);
    }

    private static void AddBytes(ByteBuffer target, ReadOnlySpan<byte> value)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, value.Length);
        target.Append(length);
        target.Append(value);
    }

    // In place of a length: what stood in the entry before.
    private static ReadOnlySpan<byte> Same => [0xFF, 0xFF, 0xFF, 0xFF];

    private static bool IsSame(ReadOnlySpan<byte> body) => body.StartsWith(Same);

    private static LogPosition TakePosition(ref ReadOnlySpan<byte> body) => new(TakeNumber(ref body), (long)TakeNumber(ref body));

    private static ulong TakeNumber(ref ReadOnlySpan<byte> body)
    {
        var value = BinaryPrimitives.ReadUInt64LittleEndian(body);
        body = body[8..];
        return value;
    }

    // The checksum has vouched for the lengths; one that is wrong all the same ends what can be read.
    private static byte[] TakeBytes(ref ReadOnlySpan<byte> body)
    {
        var length = Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(body), 0, body.Length - 4);
        var value = body.Slice(4, length).ToArray();
        body = body[(4 + length)..];
        return value;
    }
}
