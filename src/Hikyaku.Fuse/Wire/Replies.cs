using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

// What follows the header of a reply.

[StructLayout(LayoutKind.Sequential)]
public struct InitOut
{
    public uint Major;
    public uint Minor;
    public uint MaxReadahead;
    public uint Flags;
    public ushort MaxBackground;
    public ushort CongestionThreshold;
    public uint MaxWrite;
    public uint TimeGranularity;
    public ushort MaxPages;
    public ushort MapAlignment;
    public uint Flags2;

    /// <summary>With <see cref="InitFlags.Passthrough"/>: how many stacked file systems may lie above each other, us included.</summary>
    public uint MaxStackDepth;
    public Unused6 Unused;

    [InlineArray(6)]
    public struct Unused6
    {
        private uint _element;
    }
}

/// <summary>What stat(2) shows. Blocks are of 512 bytes, times are Unix seconds and nanoseconds.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct Attr
{
    public ulong Ino;
    public ulong Size;
    public ulong Blocks;
    public long ATime;
    public long MTime;
    public long CTime;
    public uint ATimeNsec;
    public uint MTimeNsec;
    public uint CTimeNsec;
    public uint Mode;
    public uint Nlink;
    public uint Uid;
    public uint Gid;
    public uint Rdev;
    public uint BlockSize;
    public uint Flags;
}

/// <summary>Of LOOKUP and whatever makes a name. Valid = how long the kernel may believe it, in seconds and nanoseconds.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct EntryOut
{
    /// <summary>0 in a reply to LOOKUP: no such name, and this may be remembered for the time of validity.</summary>
    public ulong NodeId;
    public ulong Generation;
    public ulong EntryValid;
    public ulong AttrValid;
    public uint EntryValidNsec;
    public uint AttrValidNsec;
    public Attr Attr;
}

/// <summary>Of GETATTR and SETATTR.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct AttrOut
{
    public ulong AttrValid;
    public uint AttrValidNsec;
    public uint Padding;
    public Attr Attr;
}

/// <summary>Of OPEN and OPENDIR, and behind the entry in the reply to CREATE.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct OpenOut
{
    public ulong Handle;
    public OpenReplyFlags OpenFlags;
    public int BackingId;
}

[StructLayout(LayoutKind.Sequential)]
public struct WriteOut
{
    public uint Size;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct StatFsOut
{
    public ulong Blocks;
    public ulong BlocksFree;
    public ulong BlocksAvailable;
    public ulong Files;
    public ulong FilesFree;
    public uint BlockSize;
    public uint NameLength;
    public uint FragmentSize;
    public uint Padding;
    public Spare6 Spare;

    [InlineArray(6)]
    public struct Spare6
    {
        private uint _element;
    }
}

[StructLayout(LayoutKind.Sequential)]
public struct GetXAttrOut
{
    public uint Size;
    public uint Padding;
}

[StructLayout(LayoutKind.Sequential)]
public struct LSeekOut
{
    public ulong Offset;
}

/// <summary>Stands before a name in the reply to READDIR; name and padding to 8 bytes follow.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct Dirent
{
    public ulong Ino;
    public ulong NextOffset;
    public uint NameLength;
    public uint Type;
}
