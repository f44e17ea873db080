using System.Runtime.InteropServices;

namespace Hikyaku.Log;

/// <summary>
/// The sequence from which on a log was written since the machine was booted, in a file of its own beside the segments. After a
/// loss of power a log may end before a place that a reader has noted; what comes from this sequence on is new to every reader.
/// Only read in the boot that wrote it, so it is never synced.
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

    /// <summary>False if there is none, or none that is whole. Throws <see cref="LogException"/>.</summary>
    public static bool TryRead(ILogStorage storage, out Guid boot, out ulong first)
    {
        (boot, first) = (Guid.Empty, 0);
        using var memory = storage.Open(Name, writable: false);
        if (memory is null || memory.Length < 2 * SlotBytes) return false;
        var slots = (Slot*)memory.Pointer;
        int latest = Latest(slots);
        if (latest < 0) return false;
        (boot, first) = (slots[latest].Boot, slots[latest].First);
        return true;
    }

    internal static void Write(ILogStorage storage, Guid boot, ulong first)
    {
        using var memory = storage.Open(Name, writable: true) ?? storage.Create(Name, 2 * SlotBytes);
        if (memory.Length < 2 * SlotBytes) return;
        var slots = (Slot*)memory.Pointer;
        int latest = Latest(slots);
        if (latest >= 0 && slots[latest].Boot == boot) return;
        var next = new Slot { Boot = boot, First = first, Turn = latest < 0 ? 1 : slots[latest].Turn + 1 };
        next.Sum = next.Expected();
        slots[latest == 0 ? 1 : 0] = next;
    }

    private static int Latest(Slot* slots)
    {
        bool isFirst = slots[0].Sum == slots[0].Expected(), isSecond = slots[1].Sum == slots[1].Expected();
        if (isFirst && isSecond) return slots[1].Turn > slots[0].Turn ? 1 : 0;
        return isFirst ? 0 : isSecond ? 1 : -1;
    }
}
