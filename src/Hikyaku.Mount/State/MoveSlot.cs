using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

/// <summary>A node gets another name.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MoveSlot
{
    /// <summary>The node; 0 = there is no such move.</summary>
    public uint Node;

    /// <summary>1 = to a hidden name.</summary>
    public ushort Hidden;

    public ushort NameLength;

    /// <summary>Node id of the directory.</summary>
    public ulong Parent;

    /// <summary>Ended by NUL.</summary>
    public fixed byte Name[NodeSlot.NameMax + 1];

    public static void Set(MoveSlot* move, uint node, ulong parent, ReadOnlySpan<byte> name, bool hidden)
    {
        Volatile.Write(ref move->Node, 0);
        move->Parent = parent;
        move->Hidden = hidden ? (ushort)1 : (ushort)0;
        move->NameLength = (ushort)name.Length;
        name.CopyTo(new Span<byte>(move->Name, NodeSlot.NameMax));
        move->Name[name.Length] = 0;
        Volatile.Write(ref move->Node, node);
    }

    public static ReadOnlySpan<byte> NameOf(MoveSlot* move) => new(move->Name, Math.Min(move->NameLength, (ushort)NodeSlot.NameMax));
}
