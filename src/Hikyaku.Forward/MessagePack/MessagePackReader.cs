using System.Buffers.Binary;

namespace Hikyaku.Forward;

/// <summary>
/// Reads MessagePack values from bytes that nobody vouches for. A failed read leaves <see cref="Position"/> where it was.
/// No length is believed before the bytes are there, and nothing recurses.
/// </summary>
public ref struct MessagePackReader(ReadOnlySpan<byte> bytes)
{
    private readonly ReadOnlySpan<byte> bytes = bytes;

    /// <summary>Bytes read so far; may be set to a position between two values.</summary>
    public int Position { get; set; }

    /// <summary>Whether everything has been read.</summary>
    public readonly bool AtEnd => Position >= bytes.Length;

    /// <summary>Reads one value; of an array or a map, the header only.</summary>
    public ReadResult Read(out MessagePackToken token)
    {
        var result = Decode(bytes[Position..], out token, out var size);
        if (result == ReadResult.Success)
            Position += (int)size;
        return result;
    }

    /// <summary>Reads the header of an array; another kind of value is malformed.</summary>
    public ReadResult ReadArray(out uint count) => ReadCount(MessagePackKind.Array, out count);

    /// <summary>Reads the header of a map; another kind of value is malformed.</summary>
    public ReadResult ReadMap(out uint count) => ReadCount(MessagePackKind.Map, out count);

    /// <summary>Passes over one whole value, however deep.</summary>
    public ReadResult Skip()
    {
        var scan = new ValueScan();
        var result = scan.Continue(bytes[Position..], out _);
        if (result == ReadResult.Success)
            Position += scan.Length;
        return result;
    }

    /// <summary>Passes over one whole value and returns its bytes as they are.</summary>
    public ReadResult ReadRaw(out ReadOnlySpan<byte> value)
    {
        var start = Position;
        var result = Skip();
        value = bytes[start..Position];
        return result;
    }

    private ReadResult ReadCount(MessagePackKind kind, out uint count)
    {
        var result = Decode(bytes[Position..], out var token, out var size);
        count = (uint)token.Number;
        if (result != ReadResult.Success)
            return result;
        if (token.Kind != kind)
            return ReadResult.Malformed;
        Position += (int)size;
        return ReadResult.Success;
    }

    /// <summary>Decodes the value (or header) that <paramref name="from"/> begins with. <paramref name="size"/> is its length, also when it is not all there yet (then a lower bound).</summary>
    internal static ReadResult Decode(ReadOnlySpan<byte> from, out MessagePackToken token, out long size)
    {
        token = default;
        size = 1;
        if (from.IsEmpty)
            return ReadResult.Insufficient;
        var code = from[0];
        switch (code)
        {
            case < 0x80:
                token = new(MessagePackKind.Unsigned, code);
                return ReadResult.Success;
            case < 0x90:
                token = new(MessagePackKind.Map, code & 0x0fu);
                return ReadResult.Success;
            case < 0xa0:
                token = new(MessagePackKind.Array, code & 0x0fu);
                return ReadResult.Success;
            case < 0xc0:
                return Payload(from, 1, code & 0x1fu, MessagePackKind.Text, out token, out size);
            case 0xc0:
                token = new(MessagePackKind.Nil, 0);
                return ReadResult.Success;
            case 0xc1:
                return ReadResult.Malformed;
            case 0xc2 or 0xc3:
                token = new(MessagePackKind.Boolean, code & 1u);
                return ReadResult.Success;
            case >= 0xe0:
                token = new(MessagePackKind.Negative, (ulong)(sbyte)code);
                return ReadResult.Success;
        }

        // All that is left has a fixed field of 1, 2, 4 or 8 bytes after the code, or none (fixext).
        var field = FieldLength(code);
        size = 1 + field;
        if (from.Length < size)
            return ReadResult.Insufficient;
        var number = field switch
        {
            1 => (ulong)from[1],
            2 => BinaryPrimitives.ReadUInt16BigEndian(from[1..]),
            4 => BinaryPrimitives.ReadUInt32BigEndian(from[1..]),
            8 => BinaryPrimitives.ReadUInt64BigEndian(from[1..]),
            _ => 0ul,
        };
        switch (code)
        {
            case <= 0xc6:
                return Payload(from, 1 + field, number, MessagePackKind.Binary, out token, out size);
            case <= 0xc9:
                return Payload(from, 1 + field, number, MessagePackKind.Extension, out token, out size);
            case 0xca:
                token = new(MessagePackKind.Float, BitConverter.DoubleToUInt64Bits(BitConverter.UInt32BitsToSingle((uint)number)));
                return ReadResult.Success;
            case 0xcb:
                token = new(MessagePackKind.Float, number);
                return ReadResult.Success;
            case <= 0xcf:
                token = new(MessagePackKind.Unsigned, number);
                return ReadResult.Success;
            case <= 0xd3:
                var value = code switch { 0xd0 => (long)(sbyte)number, 0xd1 => (short)number, 0xd2 => (int)number, _ => (long)number };
                token = new(value < 0 ? MessagePackKind.Negative : MessagePackKind.Unsigned, (ulong)value);
                return ReadResult.Success;
            case <= 0xd8:
                return Payload(from, 1, 1ul << (code - 0xd4), MessagePackKind.Extension, out token, out size);
            case <= 0xdb:
                return Payload(from, 1 + field, number, MessagePackKind.Text, out token, out size);
            default:
                token = new(code <= 0xdd ? MessagePackKind.Array : MessagePackKind.Map, number);
                return ReadResult.Success;
        }
    }

    private static int FieldLength(byte code) => code switch
    {
        0xc4 or 0xc7 or 0xcc or 0xd0 or 0xd9 => 1,
        0xc5 or 0xc8 or 0xcd or 0xd1 or 0xda or 0xdc or 0xde => 2,
        0xc6 or 0xc9 or 0xca or 0xce or 0xd2 or 0xdb or 0xdd or 0xdf => 4,
        0xcb or 0xcf or 0xd3 => 8,
        _ => 0,
    };

    private static ReadResult Payload(
        ReadOnlySpan<byte> from, int header, ulong length, MessagePackKind kind, out MessagePackToken token, out long size)
    {
        token = default;
        var type = header;
        if (kind == MessagePackKind.Extension)
            header++;
        size = header + (long)length;
        if (from.Length < size)
            return ReadResult.Insufficient;
        token = new(kind, length, from.Slice(header, (int)length), kind == MessagePackKind.Extension ? (sbyte)from[type] : (sbyte)0);
        return ReadResult.Success;
    }
}
