using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

/// <summary>The first page of the mapped state.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct StateHeader
{
    public ulong Magic;
    public uint Version;

    /// <summary>Slots that have disk space; the tables beyond are holes.</summary>
    public uint NodesAllocated;
    public uint HandlesAllocated;

    /// <summary>1 = a move of a node to another name, written down below, is being applied.</summary>
    public uint Moving;

    /// <summary>Which mount this is the state of, <see cref="MountOptions.Incarnation"/>.</summary>
    public ulong Incarnation;

    /// <summary>The next handle number.</summary>
    public ulong NextHandle;

    /// <summary>The first sequence whose content is not known to be underneath.</summary>
    public ulong Kept;

    /// <summary>The WRITE of every record up to this sequence has been answered.</summary>
    public ulong Answered;

    public OperationSlot Operation;

    public uint MoveSlot;
    public ushort MoveHidden;
    public ushort MoveNameLength;
    public ulong MoveParent;
    public fixed byte MoveName[NodeSlot.NameMax + 1];
}
