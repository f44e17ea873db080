using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

/// <summary>
/// One file that is, or was, written past us, in the mapped state. Unlike nodes and handles it outlives the mount: what the file grew
/// by is in the log as extents that point into the file, and not delivered yet.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BackingSlot
{
    /// <summary>0 = free. Stored last when a slot is taken.</summary>
    public uint Used;

    /// <summary>By which the kernel knows the file; of the present connection, 0 = none.</summary>
    public int KernelId;

    /// <summary>Never used again, and part of the file's hidden name.</summary>
    public ulong Number;

    /// <summary>How often the file was cut.</summary>
    public ulong Generation;

    /// <summary>Stands in the log for all that have it open; 0 = nobody has. Stored last when a session begins.</summary>
    public ulong Session;

    /// <summary>The source's id; 0 = nothing was noticed in this session.</summary>
    public ulong Source;

    /// <summary>Up to this offset the file's growth is in the log, or is not to be carried.</summary>
    public long Extended;

    /// <summary>End of the last extent of the present generation.</summary>
    public long End;

    /// <summary>What the file grew by while it was cut stands in the saved file of this generation;</summary>
    public ulong RestGeneration;

    /// <summary>from here on it is not in the log yet.</summary>
    public long RestFrom;

    /// <summary>The end of that; not above <see cref="RestFrom"/> = there is none.</summary>
    public long RestTo;

    /// <summary>Of the present generation every reader of the log has passed what lies below this offset.</summary>
    public long Delivered;

    /// <summary>Below this offset nothing is left to be punched out, or nothing may be.</summary>
    public long Punched;

    /// <summary>Sequence of the last Extent record, of any generation.</summary>
    public ulong Last;

    /// <summary>Of who opened it first.</summary>
    public uint Uid;
    public uint Pid;

    /// <summary>Unix nanoseconds, for the lines of what it grew by while nothing was mounted; 0 = the session is one of a file that is passed.</summary>
    public long Time;

    /// <summary>1 = programs of a mount that is no more may still write to it, and no handle of ours stands for them.</summary>
    public uint Orphan;

    /// <summary>1 = somebody was told that what is written, and not delivered yet, is on the disk.</summary>
    public ushort Synced;

    public ushort PathLength;

    /// <summary>As opened first.</summary>
    public fixed byte Path[HandleSlot.PathMax + 1];

    public static ReadOnlySpan<byte> PathOf(BackingSlot* backing) => new(backing->Path, Math.Min(backing->PathLength, (ushort)HandleSlot.PathMax));
}
