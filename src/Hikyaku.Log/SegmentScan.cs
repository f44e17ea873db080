using System.Runtime.InteropServices;

namespace Hikyaku.Log;

internal enum ScanStep
{
    Record,

    // Eight zero bytes, or the end of the file: nothing was written here.
    Unwritten,

    Damaged,
}

/// <summary>Walks the records of one mapped segment, which another process may be appending to.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct SegmentScan(SegmentMemory memory, ulong first)
{
    private readonly byte* _start = memory.Pointer;
    private readonly long _length = memory.Length;

    /// <summary>Where the next record begins.</summary>
    public long Offset { get; private set; } = SegmentHeader.Bytes;

    /// <summary>The sequence the next record must have.</summary>
    public ulong Sequence { get; private set; } = first;

    public ScanStep Next(out LogRecord record)
    {
        record = default;
        if (Offset + RecordFormat.HeaderBytes > _length) return ScanStep.Unwritten;
        byte* at = _start + Offset;
        ulong word = Volatile.Read(ref *(ulong*)at);
        if (word == 0) return ScanStep.Unwritten;
        if (!IsWhole(Offset, word) || *(ulong*)(at + 8) != Sequence || !HasValidSum(at, word)) return ScanStep.Damaged;
        var body = new ReadOnlySpan<byte>(at + RecordFormat.HeaderBytes, (int)word);
        record = new LogRecord(Sequence, (RecordKind)at[16], body);
        ulong next = Sequence + 1;
        if (record.Kind == RecordKind.Void)
        {
            if (!VoidBody.TryParse(body, out next) || next <= Sequence) return ScanStep.Damaged;
        }
        Offset += RecordFormat.Size((uint)word);
        Sequence = next;
        return ScanStep.Record;
    }

    /// <summary>Goes to a record that was there.</summary>
    public void GoBack(long offset, ulong sequence) => (Offset, Sequence) = (offset, sequence);

    /// <summary>Goes to the next valid record behind the present place; false (and no move) if there is none.</summary>
    public bool TrySkipDamage()
    {
        // If only the body is damaged, the length still tells where the next record is, and bytes of the body that happen to
        // look like a record are never looked at.
        ulong word = Offset + RecordFormat.HeaderBytes > _length ? 0 : *(ulong*)(_start + Offset);
        if (word != 0 && IsWhole(Offset, word) && IsSuccessor(Offset + RecordFormat.Size((uint)word))) return Take(Offset + RecordFormat.Size((uint)word));
        for (long at = Offset + RecordFormat.LeastBytes; at + RecordFormat.LeastBytes <= _length; at += 8)
        {
            if (*(ulong*)(_start + at) == 0)
            {
                // Most of what is behind a tail is zero.
                int zeros = new ReadOnlySpan<byte>(_start + at, (int)(_length - at)).IndexOfAnyExcept((byte)0);
                if (zeros < 0) return false;
                at += zeros & ~7;
            }
            if (IsSuccessor(at)) return Take(at);
        }
        return false;
    }

    private bool Take(long at)
    {
        Offset = at;
        Sequence = *(ulong*)(_start + at + 8);
        return true;
    }

    private readonly bool IsSuccessor(long at)
    {
        if (at + RecordFormat.LeastBytes > _length) return false;
        ulong word = Volatile.Read(ref *(ulong*)(_start + at));
        if (word == 0 || !IsWhole(at, word)) return false;
        // The bytes between cannot hold more records than this; and at least one record is gone.
        ulong lost = *(ulong*)(_start + at + 8) - Sequence;
        return lost > 0 && lost <= (ulong)(at - Offset) / RecordFormat.LeastBytes && HasValidSum(_start + at, word);
    }

    private readonly bool IsWhole(long at, ulong word)
    {
        uint length = (uint)word;
        if (length is 0 or > RecordFormat.MaxBodyBytes || at + RecordFormat.HeaderBytes + length > _length) return false;
        ulong kind = *(ulong*)(_start + at + 16);
        return kind is > 0 and <= 255;
    }

    private static bool HasValidSum(byte* at, ulong word) =>
        Crc32C.Compute(at + 8, RecordFormat.HeaderBytes - 8 + (long)(uint)word) == (uint)(word >> 32);
}
