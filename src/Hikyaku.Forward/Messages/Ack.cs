namespace Hikyaku.Forward;

/// <summary>The answer to a chunk: {"ack": id}, between two Hikyaku nodes with "hikyaku": 2 or 3 beside it.</summary>
public readonly ref struct Ack
{
    /// <summary>The content of the id where it is text or binary, else its raw MessagePack value.</summary>
    public ReadOnlySpan<byte> Id { get; private init; }

    /// <summary>The receiver takes entries of several lines.</summary>
    public const int TakesBlocks = 2;

    /// <summary>And zstd.</summary>
    public const int TakesZstd = 3;

    /// <summary>What a receiver on this machine says.</summary>
    public static int Ours => Zstd.IsAvailable ? TakesZstd : TakesBlocks;

    /// <summary>What the receiver takes: 0 if it is no Hikyaku node, <see cref="TakesBlocks"/>, <see cref="TakesZstd"/>, or of a later version.</summary>
    public int Hikyaku { get; private init; }

    /// <summary>How many bytes the answer took.</summary>
    public int Consumed { get; private init; }

    /// <summary>Appends an ack. <paramref name="chunk"/> is <see cref="ForwardMessage.Chunk"/>, a raw MessagePack value, and is echoed as it is. <paramref name="hikyaku"/>: 0 for a foreign sender.</summary>
    public static void Write(ByteBuffer to, ReadOnlySpan<byte> chunk, int hikyaku)
    {
        MessagePackWriter.WriteMapHeader(to, hikyaku > 0 ? 2 : 1);
        MessagePackWriter.WriteText(to, "ack"u8);
        to.Append(chunk);
        if (hikyaku == 0)
            return;
        MessagePackWriter.WriteText(to, "hikyaku"u8);
        MessagePackWriter.WriteUnsigned(to, (ulong)hikyaku);
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
