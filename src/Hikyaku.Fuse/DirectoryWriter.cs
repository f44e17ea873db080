using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>Fills the reply to READDIR.</summary>
public ref struct DirectoryWriter(Span<byte> payload)
{
    private readonly Span<byte> _payload = payload;

    /// <summary>Bytes written so far; what READDIR returns. 0 means the end of the directory.</summary>
    public int Length { get; private set; }

    /// <summary>Adds one name, or returns false and changes nothing when it does not fit.</summary>
    /// <param name="ino">Shown as d_ino; not a node id, and 0 would be hidden by the C library.</param>
    /// <param name="nextOffset">The offset with which the kernel asks for what follows this name.</param>
    /// <param name="type">The file type as in d_type (mode &gt;&gt; 12), 0 when unknown.</param>
    /// <param name="name">Without NUL.</param>
    public bool TryAdd(ulong ino, ulong nextOffset, uint type, ReadOnlySpan<byte> name)
    {
        var head = Unsafe.SizeOf<Dirent>();
        var size = (head + name.Length + 7) & ~7;
        if (size > _payload.Length - Length)
            return false;
        var record = _payload.Slice(Length, size);
        MemoryMarshal.Write(record, new Dirent { Ino = ino, NextOffset = nextOffset, NameLength = (uint)name.Length, Type = type });
        name.CopyTo(record[head..]);
        record[(head + name.Length)..].Clear();
        Length += size;
        return true;
    }
}
