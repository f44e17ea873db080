using System.Runtime.InteropServices;

namespace Hikyaku.Log;

/// <summary>
/// The sequence from which on a log was written since the machine was booted, in a file of its own beside the segments. After a
/// loss of power a log may end before a place that a reader has noted; what comes from this sequence on is new to every reader.
/// Only read in the boot that wrote it, so what it says is never synced.
/// </summary>
public static unsafe class BootMark
{
    private const string Name = "boot";

    // Two, written in turn: a kill during a store leaves the other.
    private const int SlotBytes = 40;

    [StructLayout(LayoutKind.Sequential)]
    private struct Slot
    {
        public Guid Boot;
        public ulong First;
        public ulong Turn;
        public ulong Sum;

        public readonly ulong Expected()
        {
            var slot = this;
            return 1UL << 32 | Crc32C.Compute((byte*)&slot, SlotBytes - sizeof(ulong));
        }
    }

    /// <summary>The boot that wrote the log last, and its first sequence; empty while no whole mark is there, null without a file for it. Throws <see cref="LogException"/>.</summary>
    public static Guid? Read(ILogStorage storage, out ulong first)
    {
        first = 0;
        using var memory = storage.Open(Name, writable: false);
        if (memory is null) return null;
        if (memory.Length < 2 * SlotBytes) return Guid.Empty;
        var slots = (Slot*)memory.Pointer;
        int latest = Latest(slots);
        if (latest < 0) return Guid.Empty;
        first = slots[latest].First;
        return slots[latest].Boot;
    }

    internal static void Write(ILogStorage storage, Guid boot, ulong first)
    {
        using var memory = storage.Open(Name, writable: true) is { } there ? Whole(storage, there) : Make(storage);
        var slots = (Slot*)memory.Pointer;
        int latest = Latest(slots);
        if (latest >= 0 && slots[latest].Boot == boot) return;
        var next = new Slot { Boot = boot, First = first, Turn = latest < 0 ? 1 : slots[latest].Turn + 1 };
        next.Sum = next.Expected();
        slots[latest == 0 ? 1 : 0] = next;
    }

    private static SegmentMemory Whole(ILogStorage storage, SegmentMemory there)
    {
        if (there.Length >= 2 * SlotBytes) return there;
        there.Dispose();
        return Make(storage);
    }

    // The file is made durable once, so that a later boot needs no room for it.
    private static SegmentMemory Make(ILogStorage storage)
    {
        var made = storage.Create(Name, 2 * SlotBytes);
        made.Sync(0, made.Length);
        storage.SyncDirectory();
        return made;
    }

    private static int Latest(Slot* slots)
    {
        bool isFirst = slots[0].Sum == slots[0].Expected(), isSecond = slots[1].Sum == slots[1].Expected();
        if (isFirst && isSecond) return slots[1].Turn > slots[0].Turn ? 1 : 0;
        return isFirst ? 0 : isSecond ? 1 : -1;
    }
}
