namespace Hikyaku.Forward;

/// <summary>The answer to a chunk: {"ack": id}, between two Hikyaku nodes with "hikyaku": 2 beside it.</summary>
public readonly ref struct Ack
{
    /// <summary>The content of the id where it is text or binary, else its raw MessagePack value.</summary>
    public ReadOnlySpan<byte> Id { get; private init; }

    /// <summary>What a receiver of this version says of itself: it takes entries of several lines.</summary>
    public const int Version = 2;

    /// <summary>0: the receiver is no Hikyaku node.</summary>
    public int Hikyaku { get; private init; }

    /// <summary>How many bytes the answer took.</summary>
    public int Consumed { get; private init; }

    /// <summary>Appends an ack. <paramref name="chunk"/> is <see cref="ForwardMessage.Chunk"/>, a raw MessagePack value, and is echoed as it is.</summary>
    public static void Write(ByteBuffer to, ReadOnlySpan<byte> chunk, bool hikyaku)
    {
        MessagePackWriter.WriteMapHeader(to, hikyaku ? 2 : 1);
        MessagePackWriter.WriteText(to, "ack"u8);
        to.Append(chunk);
        if (!hikyaku)
            return;
        MessagePackWriter.WriteText(to, "hikyaku"u8);
        MessagePackWriter.WriteUnsigned(to, Version);
    }

    /// <summary>Parses an ack at the front of <paramref name="bytes"/>. Malformed: the peer answers with something else.</summary>
    public static ReadResult TryParse(ReadOnlySpan<byte> bytes, out Ack ack)
    {
        ack = default;
        var reader = new MessagePackReader(bytes);
        var result = reader.ReadMap(out var count);
        if (result != ReadResult.Success)
            return result;
        var id = default(ReadOnlySpan<byte>);
        var found = false;
        var hikyaku = 0;
        for (; count > 0; count--)
        {
            result = reader.ReadRaw(out var rawKey);
            if (result != ReadResult.Success)
                return result;
            result = reader.ReadRaw(out var raw);
            if (result != ReadResult.Success)
                return result;
            MessagePackReader.Decode(rawKey, out var key, out _);
            MessagePackReader.Decode(raw, out var value, out _);
            if (key.Payload.SequenceEqual("ack"u8))
            {
                id = value.IsBytes ? value.Payload : raw;
                found = true;
            }
            else if (key.Payload.SequenceEqual("hikyaku"u8))
            {
                hikyaku = value.Kind == MessagePackKind.Unsigned ? (int)Math.Min(value.Number, int.MaxValue) : 0;
            }
        }
        ack = new Ack { Id = id, Hikyaku = hikyaku, Consumed = reader.Position };
        return found ? ReadResult.Success : ReadResult.Malformed;
    }
}
