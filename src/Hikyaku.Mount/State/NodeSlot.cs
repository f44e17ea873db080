using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

/// <summary>
/// One file or directory the kernel knows, in the mapped state. The kernel's node id is generation and slot number together, and a
/// slot gets a new generation with each use, so a node id means the same thing for the whole life of a mount.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NodeSlot
{
    public const int NameMax = 255;

    public uint Generation;

    /// <summary>0 = free. Stored last when a slot is taken.</summary>
    public uint Used;

    /// <summary>Node id of the directory it was last seen in; 0 = its name is gone.</summary>
    public ulong Parent;

    /// <summary>How many entries the kernel was given and has not given back.</summary>
    public ulong Lookups;

    public ulong Device;
    public ulong Inode;

    /// <summary>Birth time underneath, which tells a file from a later one with the same inode number; 0 = not known there.</summary>
    public long Birth;

    /// <summary>Bytes including what is in the log but not yet underneath.</summary>
    public long Size;

    /// <summary>Time of the last write, Unix nanoseconds.</summary>
    public long Modified;

    /// <summary>Time of the last change that a program made, Unix nanoseconds; meant while <see cref="Touched"/> is not older than the file's.</summary>
    public long Changed;

    /// <summary>The file's own time of change as the keeper left it, Unix nanoseconds: that was no program's doing.</summary>
    public long Touched;

    /// <summary>Sequence of the last Write record of this file; what is below the keeper's position is underneath too.</summary>
    public ulong LastSequence;

    /// <summary>The file was emptied after the writes up to this sequence: their content is not kept any more.</summary>
    public ulong Emptied;

    /// <summary>st_mode as last seen.</summary>
    public uint Mode;

    /// <summary>1 = unlinked while open; its name underneath is ours and hidden.</summary>
    public ushort Hidden;

    public ushort NameLength;

    /// <summary>Ended by NUL.</summary>
    public fixed byte Name[NameMax + 1];

    public readonly bool IsDirectory => (Mode & 0xf000) == 0x4000;

    public readonly bool IsRegular => (Mode & 0xf000) == 0x8000;

    /// <summary>The name; the slot lies in mapped memory, so the span stays valid.</summary>
    public static ReadOnlySpan<byte> NameOf(NodeSlot* node) => new(node->Name, node->NameLength);
}
