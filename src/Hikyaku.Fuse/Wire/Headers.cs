using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>Stands before every request.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct InHeader
{
    public uint Length;
    public Opcode Opcode;
    public ulong Unique;
    public ulong NodeId;
    public uint Uid;
    public uint Gid;
    public uint Pid;
    public ushort ExtensionLength;
    public ushort Padding;
}

/// <summary>Stands before every reply. <see cref="Error"/> is zero or a negative error number.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct OutHeader
{
    public uint Length;
    public int Error;
    public ulong Unique;
}
