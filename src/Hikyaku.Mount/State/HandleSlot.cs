using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

internal enum HandleUse : uint
{
    Free = 0,
    Open = 1,

    /// <summary>Released by the kernel, but the log had no room for its Close record yet.</summary>
    Released = 2,

    /// <summary>Close is in the log; kept until the keeper is past it, because a successor needs the file for the records before it.</summary>
    Closed = 3,
}

/// <summary>One open file in the mapped state. The path lies in the slot at its full length, so there is no second place to look.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct HandleSlot
{
    public const int PathMax = 4095;

    /// <summary>Stored last when a slot is taken.</summary>
    public HandleUse Use;

    /// <summary>The flags of open(2).</summary>
    public uint Flags;

    /// <summary>Never used again, also by later mounts on the same state directory.</summary>
    public ulong Number;

    public ulong NodeId;

    /// <summary>The source's id; 0 = nothing was written through this handle.</summary>
    public ulong Source;

    /// <summary>The request that opened it, so that the same request sent again gets the same handle.</summary>
    public ulong Request;

    /// <summary>Sequence of the Close record.</summary>
    public ulong ClosedAt;

    /// <summary>Number of the backing file through which the kernel passes it; 0 = its writes come to us.</summary>
    public ulong Backing;

    public uint Pid;
    public uint Thread;
    public ushort PathLength;
    public fixed byte Path[PathMax + 1];

    public static ReadOnlySpan<byte> PathOf(HandleSlot* handle) => new(handle->Path, handle->PathLength);
}
