namespace Hikyaku.Log;

/// <summary>
/// A reader's position in a file of its own: the sequence of the next record it needs. Two slots, written in turn, so that a kill
/// during a write leaves the other one; not synced, since an older position only repeats what the reader can recognise.
/// </summary>
public static unsafe class Cursor
{
    private const int SlotBytes = 24;

    /// <summary>Stores the position; makes the file (0600) if it is missing. One writer at a time per file.</summary>
    public static void Write(string path, ulong position)
    {
        int fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_CLOEXEC, 0x180 /* 0600 */);
        if (fd < 0) throw Libc.Failure("open", path, Libc.Error);
        try
        {
            int slot = Read(fd, out ulong turn, out _);
            ulong* next = stackalloc ulong[3];
            next[0] = turn + 1;
            next[1] = position;
            next[2] = Crc32C.Compute((byte*)next, 16);
            nint written = Libc.PWrite(fd, next, SlotBytes, slot == 0 ? SlotBytes : 0);
            if (written < 0) throw Libc.Failure("write", path, Libc.Error);
            if (written != SlotBytes) throw Libc.Failure("write", path, Libc.ENOSPC);
        }
        finally
        {
            _ = Libc.Close(fd);
        }
    }

    /// <summary>False if there is no such file or neither slot of it is valid.</summary>
    public static bool TryRead(string path, out ulong position)
    {
        position = 0;
        int fd = Libc.Open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (fd < 0) return false;
        int slot = Read(fd, out _, out position);
        _ = Libc.Close(fd);
        return slot >= 0;
    }

    // The slot of the latest valid turn, or -1.
    private static int Read(int fd, out ulong turn, out ulong position)
    {
        ulong* slots = stackalloc ulong[6];
        new Span<ulong>(slots, 6).Clear();
        turn = position = 0;
        int latest = -1;
        if (Libc.PRead(fd, slots, 2 * SlotBytes, 0) < SlotBytes) return latest;
        for (int i = 0; i < 2; i++)
        {
            ulong* slot = slots + 3 * i;
            if (slot[0] <= turn || slot[2] != Crc32C.Compute((byte*)slot, 16)) continue;
            (latest, turn, position) = (i, slot[0], slot[1]);
        }
        return latest;
    }
}
