using System.Buffers.Binary;

namespace Hikyaku.Forward;

/// <summary>Appends MessagePack values, each in its shortest form, to a <see cref="ByteBuffer"/>. Allocates nothing but the buffer's growth.</summary>
public static class MessagePackWriter
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>nil.</summary>
    public static void WriteNil(ByteBuffer to) => to.Append((byte)0xc0);

    /// <summary>A boolean.</summary>
    public static void WriteBoolean(ByteBuffer to, bool value) => to.Append(value ? (byte)0xc3 : (byte)0xc2);

    /// <summary>The header of an array; its elements follow.</summary>
    public static void WriteArrayHeader(ByteBuffer to, int count) => WriteCount(to, count, 0x90, 0xdc);

    /// <summary>The header of a map; its keys and values follow alternately.</summary>
    public static void WriteMapHeader(ByteBuffer to, int count) => WriteCount(to, count, 0x80, 0xde);

    /// <summary>Text of the type str. The bytes are not checked: Forward's senders put any bytes into a str.</summary>
    public static void WriteText(ByteBuffer to, ReadOnlySpan<byte> text)
    {
        var span = to.GetSpan(checked(text.Length + 5));
        var header = WriteTextHeader(span, text.Length);
        text.CopyTo(span[header..]);
        to.Advance(header + text.Length);
    }

    /// <summary>Bytes of the type bin.</summary>
    public static void WriteBinary(ByteBuffer to, ReadOnlySpan<byte> bytes)
    {
        var span = to.GetSpan(checked(bytes.Length + 5));
        var header = WriteBinaryHeader(span, bytes.Length);
        bytes.CopyTo(span[header..]);
        to.Advance(header + bytes.Length);
    }

    /// <summary>A number that is not negative.</summary>
    public static void WriteUnsigned(ByteBuffer to, ulong value)
    {
        var span = to.GetSpan(9);
        switch (value)
        {
            case < 0x80:
                span[0] = (byte)value;
                to.Advance(1);
                break;
            case <= byte.MaxValue:
                span[0] = 0xcc;
                span[1] = (byte)value;
                to.Advance(2);
                break;
            case <= ushort.MaxValue:
                span[0] = 0xcd;
                BinaryPrimitives.WriteUInt16BigEndian(span[1..], (ushort)value);
                to.Advance(3);
                break;
            case <= uint.MaxValue:
                span[0] = 0xce;
                BinaryPrimitives.WriteUInt32BigEndian(span[1..], (uint)value);
                to.Advance(5);
                break;
            default:
                span[0] = 0xcf;
                BinaryPrimitives.WriteUInt64BigEndian(span[1..], value);
                to.Advance(9);
                break;
        }
    }

    /// <summary>A number.</summary>
    public static void WriteInteger(ByteBuffer to, long value)
    {
        if (value >= 0)
        {
            WriteUnsigned(to, (ulong)value);
            return;
        }
        var span = to.GetSpan(9);
        switch (value)
        {
            case >= -32:
                span[0] = (byte)value;
                to.Advance(1);
                break;
            case >= sbyte.MinValue:
                span[0] = 0xd0;
                span[1] = (byte)value;
                to.Advance(2);
                break;
            case >= short.MinValue:
                span[0] = 0xd1;
                BinaryPrimitives.WriteInt16BigEndian(span[1..], (short)value);
                to.Advance(3);
                break;
            case >= int.MinValue:
                span[0] = 0xd2;
                BinaryPrimitives.WriteInt32BigEndian(span[1..], (int)value);
                to.Advance(5);
                break;
            default:
                span[0] = 0xd3;
                BinaryPrimitives.WriteInt64BigEndian(span[1..], value);
                to.Advance(9);
                break;
        }
    }

    /// <summary>Forward's EventTime (ext type 0, always 10 bytes) from nanoseconds since 1970; times outside 1970 to 2106 become the nearest it can hold.</summary>
    public static void WriteEventTime(ByteBuffer to, long unixNanoseconds)
    {
        WriteEventTime(to.GetSpan(10), unixNanoseconds);
        to.Advance(10);
    }

    internal static void WriteEventTime(Span<byte> span, long unixNanoseconds)
    {
        var time = (ulong)Math.Clamp(unixNanoseconds, 0, (uint.MaxValue * NanosecondsPerSecond) + NanosecondsPerSecond - 1);
        var seconds = time / NanosecondsPerSecond;
        BinaryPrimitives.WriteUInt32BigEndian(span[6..10], (uint)(time - (seconds * NanosecondsPerSecond)));
        BinaryPrimitives.WriteUInt32BigEndian(span[2..6], (uint)seconds);
        BinaryPrimitives.WriteUInt16BigEndian(span, 0xd700);
    }

    internal static int WriteTextHeader(Span<byte> span, int length)
    {
        if (length >= 32)
            return WriteLength(span, length, 0xd9);
        span[0] = (byte)(0xa0 | length);
        return 1;
    }

    internal static int WriteBinaryHeader(Span<byte> span, int length) => WriteLength(span, length, 0xc4);

    private static void WriteCount(ByteBuffer to, int count, byte small, byte code16)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var span = to.GetSpan(5);
        if (count < 16)
        {
            span[0] = (byte)(small | count);
            to.Advance(1);
        }
        else if (count <= ushort.MaxValue)
        {
            span[0] = code16;
            BinaryPrimitives.WriteUInt16BigEndian(span[1..], (ushort)count);
            to.Advance(3);
        }
        else
        {
            span[0] = (byte)(code16 + 1);
            BinaryPrimitives.WriteUInt32BigEndian(span[1..], (uint)count);
            to.Advance(5);
        }
    }

    // str and bin have the same three codes in a row: 8, 16 and 32 bits of length.
    private static int WriteLength(Span<byte> span, int length, byte code8)
    {
        if (length <= byte.MaxValue)
        {
            span[0] = code8;
            span[1] = (byte)length;
            return 2;
        }
        if (length <= ushort.MaxValue)
        {
            span[0] = (byte)(code8 + 1);
            BinaryPrimitives.WriteUInt16BigEndian(span[1..], (ushort)length);
            return 3;
        }
        span[0] = (byte)(code8 + 2);
        BinaryPrimitives.WriteUInt32BigEndian(span[1..], (uint)length);
        return 5;
    }
}
