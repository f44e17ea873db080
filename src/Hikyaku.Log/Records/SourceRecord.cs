using System.Buffers.Binary;

namespace Hikyaku.Log;

/// <summary>States a source: body = u64 id, u16 length of the path, path.</summary>
public readonly ref struct SourceRecord
{
    /// <summary>Bytes of the head; the path follows as data.</summary>
    public const int HeadBytes = 10;

    /// <summary>0 in the first statement: the id is then the record's own sequence.</summary>
    public ulong Id { get; private init; }

    /// <summary>Relative to the mount, without a leading slash; any bytes.</summary>
    public ReadOnlySpan<byte> Path { get; private init; }

    /// <summary>Writes the head; the path (at most 65535 bytes) is to be given as data of the append. Returns <see cref="HeadBytes"/>.</summary>
    public static int WriteHead(Span<byte> dst, ulong id, int pathLength)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(dst, id);
        BinaryPrimitives.WriteUInt16LittleEndian(dst[8..], checked((ushort)pathLength));
        return HeadBytes;
    }

    /// <summary>False if the body is shorter than it says.</summary>
    public static bool TryParse(ReadOnlySpan<byte> body, out SourceRecord record)
    {
        record = default;
        if (body.Length < HeadBytes) return false;
        int length = BinaryPrimitives.ReadUInt16LittleEndian(body[8..]);
        if (body.Length < HeadBytes + length) return false;
        record = new SourceRecord { Id = BinaryPrimitives.ReadUInt64LittleEndian(body), Path = body.Slice(HeadBytes, length) };
        return true;
    }
}
