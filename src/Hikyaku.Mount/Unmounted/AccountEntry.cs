using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

/// <summary>What is known of one file underneath, in the mapped account; the path follows.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AccountEntry
{
    /// <summary>Nothing is being done that changes the length.</summary>
    public const long None = -1;

    /// <summary>Of this entry with its path, a multiple of 8.</summary>
    public uint Size;

    /// <summary>1 = not a file, but a piece that the keeper put behind bytes of others: from <see cref="Next"/> to <see cref="Length"/>.</summary>
    public ushort IsPiece;

    public ushort PathLength;
    public ulong Device;
    public ulong Inode;

    /// <summary>As in <see cref="NodeSlot.Birth"/>.</summary>
    public long Birth;

    /// <summary>What lies below is in the log, or is not to be carried.</summary>
    public long Length;

    /// <summary>The length to which something leads that is being done; a kill in its midst leaves it here.</summary>
    public long Next;

    /// <summary>In a mixed file: of the last record put into it.</summary>
    public ulong Sequence;

    /// <summary>So many bytes before <see cref="Length"/> have the sum below; 0 = not known.</summary>
    public uint MarkBytes;
    public uint MarkSum;

    /// <summary>1 = others wrote behind <see cref="Length"/>, and what we had to write after them stands in pieces.</summary>
    public uint IsMixed;

    private readonly uint _reserved;

    public static ReadOnlySpan<byte> PathOf(AccountEntry* entry) => new((byte*)entry + sizeof(AccountEntry), entry->PathLength);
}
