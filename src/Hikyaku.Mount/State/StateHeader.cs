using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

/// <summary>The first page of the mapped state.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct StateHeader
{
    public ulong Magic;
    public uint Version;

    /// <summary>Slots that have disk space; the tables beyond are holes.</summary>
    public uint NodesAllocated;
    public uint HandlesAllocated;
    public uint BackingsAllocated;

    /// <summary>1 = <see cref="Move"/> is being applied.</summary>
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

    public MoveSlot Move;

    /// <summary>What a rename that is <see cref="OperationStep.Started"/> is about to do to the node it moves.</summary>
    public MoveSlot Moved;

    /// <summary>In an exchange, to the other node.</summary>
    public MoveSlot Exchanged;
}
