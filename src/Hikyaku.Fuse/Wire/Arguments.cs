using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

// What follows the header of a request. Names, where an operation has any, follow these.

[StructLayout(LayoutKind.Sequential)]
public struct InitIn
{
    public uint Major;
    public uint Minor;
    public uint MaxReadahead;
    public uint Flags;
    public uint Flags2;
    public Unused11 Unused;

    [System.Runtime.CompilerServices.InlineArray(11)]
    public struct Unused11
    {
        private uint _element;
    }
}

[StructLayout(LayoutKind.Sequential)]
public struct ForgetIn
{
    public ulong Lookups;
}

[StructLayout(LayoutKind.Sequential)]
public struct BatchForgetIn
{
    public uint Count;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct ForgetOne
{
    public ulong NodeId;
    public ulong Lookups;
}

[StructLayout(LayoutKind.Sequential)]
public struct GetAttrIn
{
    public GetAttrFlags Flags;
    public uint Padding;
    public ulong Handle;
}

[StructLayout(LayoutKind.Sequential)]
public struct SetAttrIn
{
    public SetAttrValid Valid;
    public uint Padding;
    public ulong Handle;
    public ulong Size;
    public ulong LockOwner;
    public long ATime;
    public long MTime;
    public long CTime;
    public uint ATimeNsec;
    public uint MTimeNsec;
    public uint CTimeNsec;
    public uint Mode;
    public uint Unused4;
    public uint Uid;
    public uint Gid;
    public uint Unused5;
}

[StructLayout(LayoutKind.Sequential)]
public struct MkNodIn
{
    public uint Mode;
    public uint Rdev;
    public uint Umask;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct MkDirIn
{
    public uint Mode;
    public uint Umask;
}

[StructLayout(LayoutKind.Sequential)]
public struct RenameIn
{
    public ulong NewParent;
}

[StructLayout(LayoutKind.Sequential)]
public struct Rename2In
{
    public ulong NewParent;
    public RenameFlags Flags;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct LinkIn
{
    public ulong NodeId;
}

/// <summary>Of OPEN and OPENDIR; <see cref="Flags"/> are those of open(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct OpenIn
{
    public uint Flags;
    public uint OpenFlags;
}

[StructLayout(LayoutKind.Sequential)]
public struct CreateIn
{
    public uint Flags;
    public uint Mode;
    public uint Umask;
    public uint OpenFlags;
}

/// <summary>Of READ and READDIR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ReadIn
{
    public ulong Handle;
    public ulong Offset;
    public uint Size;
    public uint ReadFlags;
    public ulong LockOwner;
    public uint Flags;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct WriteIn
{
    public ulong Handle;
    public ulong Offset;
    public uint Size;
    public WriteFlags WriteFlags;
    public ulong LockOwner;
    public uint Flags;
    public uint Padding;
}

/// <summary>Of RELEASE and RELEASEDIR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ReleaseIn
{
    public ulong Handle;
    public uint Flags;
    public uint ReleaseFlags;
    public ulong LockOwner;
}

[StructLayout(LayoutKind.Sequential)]
public struct FlushIn
{
    public ulong Handle;
    public uint Unused;
    public uint Padding;
    public ulong LockOwner;
}

/// <summary>Of FSYNC and FSYNCDIR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct FSyncIn
{
    public ulong Handle;
    public FSyncFlags Flags;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct SetXAttrIn
{
    public uint Size;
    public uint Flags;
}

/// <summary>Of GETXATTR and LISTXATTR; size 0 asks how many bytes there are.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct GetXAttrIn
{
    public uint Size;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct AccessIn
{
    public uint Mask;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct InterruptIn
{
    public ulong Unique;
}

[StructLayout(LayoutKind.Sequential)]
public struct FAllocateIn
{
    public ulong Handle;
    public ulong Offset;
    public ulong Length;
    public uint Mode;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct LSeekIn
{
    public ulong Handle;
    public ulong Offset;
    public uint Whence;
    public uint Padding;
}
