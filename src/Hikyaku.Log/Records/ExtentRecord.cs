using System.Buffers.Binary;

namespace Hikyaku.Log;

/// <summary>
/// A file grew by bytes that were written past the log: they stand in a backing file, from one offset up to another, until every
/// reader has taken them. The body is <see cref="HeadBytes"/> long. How such bytes are read: <see cref="BackingFile"/>.
/// </summary>
public readonly ref struct ExtentRecord
{
    /// <summary>Bytes of the body.</summary>
    public const int HeadBytes = 64;

    /// <summary>The id of the source.</summary>
    public ulong Source { get; private init; }

    /// <summary>Stands for all that have the file open for writing at once; never reused. Its Close record ends an unfinished line.</summary>
    public ulong Handle { get; private init; }

    /// <summary>Number of the backing file.</summary>
    public ulong File { get; private init; }

    /// <summary>How often the file had been cut before.</summary>
    public ulong Generation { get; private init; }

    /// <summary>Offset of the first byte.</summary>
    public ulong From { get; private init; }

    /// <summary>Offset behind the last byte; above <see cref="From"/>.</summary>
    public ulong To { get; private init; }

    /// <summary>When the bytes were noticed, Unix nanoseconds.</summary>
    public long Time { get; private init; }

    /// <summary>User id of the process that opened the file.</summary>
    public uint Uid { get; private init; }

    /// <summary>Process id of the process that opened the file.</summary>
    public uint Pid { get; private init; }

    /// <summary>Writes the whole body; returns <see cref="HeadBytes"/>.</summary>
    public static int WriteHead(
        Span<byte> dst, ulong source, ulong handle, ulong file, ulong generation, ulong from, ulong to, long time, uint uid, uint pid)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(dst, source);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[8..], handle);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[16..], file);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[24..], generation);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[32..], from);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[40..], to);
        BinaryPrimitives.WriteInt64LittleEndian(dst[48..], time);
        BinaryPrimitives.WriteUInt32LittleEndian(dst[56..], uid);
        BinaryPrimitives.WriteUInt32LittleEndian(dst[60..], pid);
        return HeadBytes;
    }

    /// <summary>False if the body is too short, or the extent holds nothing or more than a file can.</summary>
    public static bool TryParse(ReadOnlySpan<byte> body, out ExtentRecord record)
    {
        record = default;
        if (body.Length < HeadBytes) return false;
        record = new ExtentRecord
        {
            Source = BinaryPrimitives.ReadUInt64LittleEndian(body),
            Handle = BinaryPrimitives.ReadUInt64LittleEndian(body[8..]),
            File = BinaryPrimitives.ReadUInt64LittleEndian(body[16..]),
            Generation = BinaryPrimitives.ReadUInt64LittleEndian(body[24..]),
            From = BinaryPrimitives.ReadUInt64LittleEndian(body[32..]),
            To = BinaryPrimitives.ReadUInt64LittleEndian(body[40..]),
            Time = BinaryPrimitives.ReadInt64LittleEndian(body[48..]),
            Uid = BinaryPrimitives.ReadUInt32LittleEndian(body[56..]),
            Pid = BinaryPrimitives.ReadUInt32LittleEndian(body[60..]),
        };
        return record.To > record.From && record.To <= long.MaxValue;
    }
}
