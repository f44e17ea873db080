using System.Buffers.Binary;

namespace Hikyaku.Log;

/// <summary>
/// A reader's position in a file of its own: the sequence of the next record it needs. Two slots, written in turn, so that a kill
/// during a write leaves the other one; not synced, since an older position only repeats what the reader can recognise.
/// </summary>
public static class Cursor
{
    private const int SlotBytes = 24;

    /// <summary>Stores the position; makes the file (0600) if it is missing. One writer at a time per file. Throws IOException.</summary>
    public static void Write(string path, ulong position, Disk? disk = null)
    {
        using var file = (disk ?? Disk.OfThisMachine).OpenForWriting(path, Opening.Own);
        int latest = Read(file, out ulong turn, out _);
        Span<byte> next = stackalloc byte[SlotBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(next, turn + 1);
        BinaryPrimitives.WriteUInt64LittleEndian(next[8..], position);
        BinaryPrimitives.WriteUInt64LittleEndian(next[16..], Crc32C.Compute(next[..16]));
        file.Write(next, latest == 0 ? SlotBytes : 0);
    }

    /// <summary>False if there is no such file or neither slot of it is valid. Throws IOException if it cannot be read.</summary>
    public static bool TryRead(string path, out ulong position, Disk? disk = null)
    {
        position = 0;
        using var file = (disk ?? Disk.OfThisMachine).Open(path, Opening.Existing);
        return file is not null && Read(file, out _, out position) >= 0;
    }

    // The slot of the latest valid turn, or -1.
    private static int Read(DiskFile file, out ulong turn, out ulong position)
    {
        Span<byte> slots = stackalloc byte[2 * SlotBytes];
        slots.Clear();
        turn = position = 0;
        int latest = -1;
        file.Read(slots, 0);
        for (int i = 0; i < 2; i++)
        {
            var slot = slots[(i * SlotBytes)..];
            ulong itsTurn = BinaryPrimitives.ReadUInt64LittleEndian(slot);
            if (itsTurn <= turn || BinaryPrimitives.ReadUInt64LittleEndian(slot[16..]) != Crc32C.Compute(slot[..16])) continue;
            (latest, turn, position) = (i, itsTurn, BinaryPrimitives.ReadUInt64LittleEndian(slot[8..]));
        }
        return latest;
    }
}
