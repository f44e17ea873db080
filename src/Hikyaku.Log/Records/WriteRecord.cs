using System.Buffers.Binary;

namespace Hikyaku.Log;

/// <summary>One write to a source: body = 56 bytes of head, then the bytes written.</summary>
public readonly ref struct WriteRecord
{
    /// <summary>Bytes of the head; the bytes written follow as data.</summary>
    public const int HeadBytes = 56;

    /// <summary>The id of the source.</summary>
    public ulong Source { get; private init; }

    /// <summary>The handle it was written through; never reused.</summary>
    public ulong Handle { get; private init; }

    /// <summary>Byte offset in the file.</summary>
    public ulong Offset { get; private init; }

    /// <summary>Unix time in nanoseconds.</summary>
    public long Time { get; private init; }

    /// <summary>The kernel's request id without bit 63.</summary>
    public ulong Request { get; private init; }

    /// <summary>User id of the writer.</summary>
    public uint Uid { get; private init; }

    /// <summary>Process id of the writer.</summary>
    public uint Pid { get; private init; }

    /// <summary>The bytes written.</summary>
    public ReadOnlySpan<byte> Data { get; private init; }

    /// <summary>Writes the head; returns <see cref="HeadBytes"/>.</summary>
    public static int WriteHead(Span<byte> dst, ulong source, ulong handle, ulong offset, long time, ulong request, uint uid, uint pid)
    {
        // The highest first, so that one bounds check serves all.
        BinaryPrimitives.WriteUInt64LittleEndian(dst[48..56], 0);
        BinaryPrimitives.WriteUInt64LittleEndian(dst, source);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[8..], handle);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[16..], offset);
        BinaryPrimitives.WriteInt64LittleEndian(dst[24..], time);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[32..], request);
        BinaryPrimitives.WriteUInt32LittleEndian(dst[40..], uid);
        BinaryPrimitives.WriteUInt32LittleEndian(dst[44..], pid);
        return HeadBytes;
    }

    /// <summary>False if the body is shorter than the head.</summary>
    public static bool TryParse(ReadOnlySpan<byte> body, out WriteRecord record)
    {
        record = default;
        if (body.Length < HeadBytes) return false;
        record = new WriteRecord
        {
            Source = BinaryPrimitives.ReadUInt64LittleEndian(body),
            Handle = BinaryPrimitives.ReadUInt64LittleEndian(body[8..]),
            Offset = BinaryPrimitives.ReadUInt64LittleEndian(body[16..]),
            Time = BinaryPrimitives.ReadInt64LittleEndian(body[24..]),
            Request = BinaryPrimitives.ReadUInt64LittleEndian(body[32..]),
            Uid = BinaryPrimitives.ReadUInt32LittleEndian(body[40..]),
            Pid = BinaryPrimitives.ReadUInt32LittleEndian(body[44..]),
            Data = body[HeadBytes..],
        };
        return true;
    }
}
