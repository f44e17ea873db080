using System.Runtime.InteropServices;

namespace Hikyaku.Log;

/// <summary>The first 64 bytes of a segment.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct SegmentHeader
{
    public const int Bytes = 64;
    public const uint KnownVersion = 1;

    private static ReadOnlySpan<byte> Magic => "HIKYAKU\n"u8;

    public uint Version { get; private init; }
    public Guid Identity { get; private init; }
    public ulong First { get; private init; }
    public long Created { get; private init; }

    public static void Write(SegmentMemory memory, Guid identity, ulong first, long created)
    {
        var header = new Span<byte>(memory.Pointer, Bytes);
        header.Clear();
        Magic.CopyTo(header);
        *(uint*)(memory.Pointer + 8) = KnownVersion;
        identity.TryWriteBytes(header[16..], bigEndian: true, out _);
        *(ulong*)(memory.Pointer + 32) = first;
        *(long*)(memory.Pointer + 40) = created;
        *(uint*)(memory.Pointer + 12) = Checksum(memory.Pointer);
    }

    /// <summary>False: these bytes are no header. A header of another version is one, and only its version can be trusted.</summary>
    public static bool TryRead(SegmentMemory memory, out SegmentHeader header)
    {
        header = default;
        // No segment comes near 2 GiB, and spans end there.
        if (memory.Length is < Bytes or > int.MaxValue) return false;
        byte* p = memory.Pointer;
        if (!new ReadOnlySpan<byte>(p, 8).SequenceEqual(Magic) || *(uint*)(p + 12) != Checksum(p)) return false;
        header = new SegmentHeader
        {
            Version = *(uint*)(p + 8),
            Identity = new Guid(new ReadOnlySpan<byte>(p + 16, 16), bigEndian: true),
            First = *(ulong*)(p + 32),
            Created = *(long*)(p + 40),
        };
        return true;
    }

    // Over the other 60 bytes.
    private static uint Checksum(byte* p)
    {
        byte* rest = stackalloc byte[Bytes - 4];
        new ReadOnlySpan<byte>(p, 12).CopyTo(new Span<byte>(rest, 12));
        new ReadOnlySpan<byte>(p + 16, Bytes - 16).CopyTo(new Span<byte>(rest + 12, Bytes - 16));
        return Crc32C.Compute(rest, Bytes - 4);
    }
}
