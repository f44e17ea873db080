using System.Buffers.Binary;
using System.Numerics;
using Hikyaku.Forward;
using Microsoft.Win32.SafeHandles;

namespace Hikyaku.Transfer.Delivery;

/// <summary>A chunk as the journal knows it.</summary>
internal sealed record JournaledChunk(ulong Number, ulong From, ulong To, long Lines, long Bytes, byte[] Note, byte[] Tails);

/// <summary>Where a pump stands: everything below <see cref="Position"/> is delivered, and these are the unfinished lines at that place.</summary>
internal sealed record JournalBase(ulong Position, ulong NextNumber, long Lines, long Bytes, byte[] Tails);

/// <summary>
/// What a pump must remember over a crash: each chunk is written here before it is delivered, so that a repetition holds the
/// same lines under the same number. Format in docs/LOG_FORMAT.md. Chunk numbers start at the wall clock, so that a lost
/// journal never leads to a number that a receiver has seen with other lines.
/// </summary>
internal sealed class Journal : IDisposable
{
    private const byte KindBase = 1, KindChunk = 2, KindAcknowledge = 3;
    private const int HeaderBytes = 9; // u32 length of the body, u32 CRC32C of kind and body, u8 kind
    private const int CompactBytes = 1 << 20;

    // Allocated ahead: a full disk must not keep lines from leaving, for it is their leaving that frees it.
    private const int AllocatedBytes = 4 << 20;
    private const int ClockShift = 16; // 65,536 chunks a millisecond before a number could be met twice

    private readonly string _path;
    private readonly Guid _log;
    private readonly Guid _boot;
    private readonly bool _sync;
    private readonly ByteBuffer _pending = new();
    private readonly Queue<JournaledChunk> _open = new();
    private SafeFileHandle _file;
    private long _length;

    private Journal(string path, Guid log, Guid boot, bool sync)
    {
        _path = path;
        _log = log;
        _boot = boot;
        _sync = sync;
        Base = new JournalBase(0, 0, 0, 0, []);
        _file = null!;
    }

    public JournalBase Base { get; private set; }

    /// <summary>Chunks above <see cref="Base"/>, in order.</summary>
    public IReadOnlyCollection<JournaledChunk> Open => _open;

    /// <param name="boot">Identity of this boot of the machine. A journal that was not synced may be behind after another boot.</param>
    /// <param name="sync">Write each chunk through to the disk before it is delivered, so that numbers hold over a power loss too.</param>
    public static Journal Load(string path, Guid log, Guid boot, bool sync, TimeProvider time, Action<string> report)
    {
        var journal = new Journal(path, log, boot, sync);
        var fresh = (ulong)time.GetUtcNow().ToUnixTimeMilliseconds() << ClockShift;
        var found = File.Exists(path) ? File.ReadAllBytes(path) : [];
        var state = journal.Replay(found);
        if (state == Replayed.OtherLog)
        {
            report($"{path}: belongs to another log, which is gone; starting at the oldest line of the present one");
            journal._open.Clear();
            journal.Base = new JournalBase(0, 0, 0, 0, []);
        }

        if (state == Replayed.OtherBoot && !sync)
        {
            // Chunks delivered shortly before the power went may be missing here; the same numbers must not meet other lines.
            journal._open.Clear();
            journal.Base = journal.Base with { NextNumber = 0 };
        }

        if (journal.Base.NextNumber == 0)
            journal.Base = journal.Base with { NextNumber = fresh };
        journal.Rewrite();
        return journal;
    }

    /// <summary>Writes the chunk, and all acknowledgements so far, in one call. Throws IOException and has then done nothing.</summary>
    public void Append(Chunk chunk, ReadOnlySpan<byte> note)
    {
        var entry = new JournaledChunk(chunk.Number, chunk.From, chunk.To, chunk.Lines, chunk.Bytes, note.ToArray(), chunk.Tails.Written.ToArray());
        var before = _pending.Length;
        Add(_pending, entry);
        try
        {
            Flush();
            if (_sync)
                RandomAccess.FlushToDisk(_file);
        }
        catch (IOException)
        {
            _pending.Truncate(Math.Min(before, _pending.Length));
            throw;
        }

        _open.Enqueue(entry);
    }

    /// <summary>The lowest open chunk is delivered. Becomes durable with the next <see cref="Append"/> or <see cref="Flush"/>.</summary>
    public void Acknowledge(ulong number)
    {
        var chunk = _open.Dequeue();
        if (chunk.Number != number)
            throw new InvalidOperationException($"chunk {number} was acknowledged before chunk {chunk.Number}");
        Base = new JournalBase(chunk.To, chunk.Number + 1, Base.Lines + chunk.Lines, Base.Bytes + chunk.Bytes, chunk.Tails);
        Add(_pending, chunk.Number);
    }

    public void Flush()
    {
        if (_pending.Length == 0)
            return;
        RandomAccess.Write(_file, _pending.Written, _length);
        _length += _pending.Length;
        _pending.Clear();
        if (_length > CompactBytes)
            TryCompact();
    }

    public void Dispose()
    {
        Flush();
        _file.Dispose();
    }

    // On a full disk the old file goes on growing; its next acknowledgement tries again.
    private void TryCompact()
    {
        try
        {
            Rewrite();
        }
        catch (IOException)
        {
            _pending.Clear();
        }
    }

    private void Rewrite()
    {
        _pending.Clear();
        Add(_pending, Base);
        foreach (var chunk in _open)
            Add(_pending, chunk);

        var next = _path + ".new";
        var options = new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.ReadWrite,
            PreallocationSize = AllocatedBytes,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        using (var stream = new FileStream(next, options))
        {
            stream.Write(_pending.Written);
            stream.Flush(_sync);
        }

        File.Move(next, _path, overwrite: true);
        _file?.Dispose();
        _file = File.OpenHandle(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        _length = _pending.Length;
        _pending.Clear();
    }

    private enum Replayed { Nothing, Whole, OtherLog, OtherBoot }

    private Replayed Replay(ReadOnlySpan<byte> bytes)
    {
        var result = Replayed.Nothing;
        while (TryTake(ref bytes, out var kind, out var body))
        {
            switch (kind)
            {
                case KindBase:
                    if (new Guid(body[..16]) != _log)
                        return Replayed.OtherLog;
                    result = new Guid(body.Slice(16, 16)) == _boot ? Replayed.Whole : Replayed.OtherBoot;
                    body = body[32..];
                    Base = new JournalBase(TakeNumber(ref body), TakeNumber(ref body), (long)TakeNumber(ref body), (long)TakeNumber(ref body), TakeBytes(ref body));
                    break;
                case KindChunk:
                    _open.Enqueue(new JournaledChunk(TakeNumber(ref body), TakeNumber(ref body), TakeNumber(ref body),
                        (long)TakeNumber(ref body), (long)TakeNumber(ref body), TakeBytes(ref body), TakeBytes(ref body)));
                    break;
                case KindAcknowledge:
                    var number = TakeNumber(ref body);
                    while (_open.TryPeek(out var chunk) && chunk.Number <= number)
                        Acknowledge(chunk.Number);

                    break;
            }
        }

        _pending.Clear();
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
        if (Checksum(covered) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]))
            return false;
        kind = covered[0];
        body = covered[1..];
        bytes = bytes[(HeaderBytes + (int)length)..];
        return body.Length >= kind switch { KindBase => 68, KindChunk => 48, KindAcknowledge => 8, _ => 0 };
    }

    private void Add(ByteBuffer target, JournalBase state)
    {
        var start = Begin(target, KindBase);
        Span<byte> ids = stackalloc byte[32];
        _log.TryWriteBytes(ids);
        _boot.TryWriteBytes(ids[16..]);
        target.Append(ids);
        AddNumber(target, state.Position);
        AddNumber(target, state.NextNumber);
        AddNumber(target, (ulong)state.Lines);
        AddNumber(target, (ulong)state.Bytes);
        AddBytes(target, state.Tails);
        End(target, start);
    }

    private static void Add(ByteBuffer target, JournaledChunk chunk)
    {
        var start = Begin(target, KindChunk);
        AddNumber(target, chunk.Number);
        AddNumber(target, chunk.From);
        AddNumber(target, chunk.To);
        AddNumber(target, (ulong)chunk.Lines);
        AddNumber(target, (ulong)chunk.Bytes);
        AddBytes(target, chunk.Note);
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
        BinaryPrimitives.WriteUInt32LittleEndian(entry[4..], Checksum(entry[8..]));
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

    private static ulong TakeNumber(ref ReadOnlySpan<byte> body)
    {
        var value = BinaryPrimitives.ReadUInt64LittleEndian(body);
        body = body[8..];
        return value;
    }

    private static byte[] TakeBytes(ref ReadOnlySpan<byte> body)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(body);
        var value = body.Slice(4, length).ToArray();
        body = body[(4 + length)..];
        return value;
    }

    private static uint Checksum(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes)
            crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }
}
