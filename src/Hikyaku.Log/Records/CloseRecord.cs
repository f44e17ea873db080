using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Hikyaku.Log;

/// <summary>A handle of a source was closed: body = u64 source, u64 handle, i64 time.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly ref struct CloseRecord
{
    /// <summary>Bytes of the body.</summary>
    public const int HeadBytes = 24;

    /// <summary>The id of the source.</summary>
    public ulong Source { get; private init; }

    /// <summary>The handle that was closed.</summary>
    public ulong Handle { get; private init; }

    /// <summary>Unix time in nanoseconds.</summary>
    public long Time { get; private init; }

    /// <summary>Writes the whole body; returns <see cref="HeadBytes"/>.</summary>
    public static int WriteHead(Span<byte> dst, ulong source, ulong handle, long time)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(dst, source);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[8..], handle);
        BinaryPrimitives.WriteInt64LittleEndian(dst[16..], time);
        return HeadBytes;
    }

    /// <summary>False if the body is too short.</summary>
    public static bool TryParse(ReadOnlySpan<byte> body, out CloseRecord record)
    {
        record = default;
        if (body.Length < HeadBytes) return false;
        record = new CloseRecord
        {
            Source = BinaryPrimitives.ReadUInt64LittleEndian(body),
            Handle = BinaryPrimitives.ReadUInt64LittleEndian(body[8..]),
            Time = BinaryPrimitives.ReadInt64LittleEndian(body[16..]),
        };
        return true;
    }
}
