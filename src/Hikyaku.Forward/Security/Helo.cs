namespace Hikyaku.Forward;

/// <summary>The receiver's first word: ["HELO", {"nonce", "auth", "keepalive"}]. Spans are valid as long as the bytes they were parsed from.</summary>
internal readonly ref struct Helo
{
    /// <summary>What the sender's proof must contain.</summary>
    public ReadOnlySpan<byte> Nonce { get; private init; }

    /// <summary>What the proof of a password must contain; empty: no user is asked for.</summary>
    public ReadOnlySpan<byte> Auth { get; private init; }

    public int Consumed { get; private init; }

    public static void Write(ByteBuffer to, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> auth)
    {
        MessagePackWriter.WriteArrayHeader(to, 2);
        MessagePackWriter.WriteText(to, "HELO"u8);
        MessagePackWriter.WriteMapHeader(to, 3);
        MessagePackWriter.WriteText(to, "nonce"u8);
        MessagePackWriter.WriteBinary(to, nonce);
        MessagePackWriter.WriteText(to, "auth"u8);
        if (auth.IsEmpty)
            MessagePackWriter.WriteText(to, auth);
        else
            MessagePackWriter.WriteBinary(to, auth);
        MessagePackWriter.WriteText(to, "keepalive"u8);
        MessagePackWriter.WriteBoolean(to, true);
    }

    public static ReadResult TryParse(ReadOnlySpan<byte> bytes, out Helo helo)
    {
        helo = default;
        var reader = new MessagePackReader(bytes);
        var result = HandshakeArray.Begin(ref reader, "HELO"u8, 2);
        if (result != ReadResult.Success)
            return result;
        result = reader.ReadMap(out var count);
        if (result != ReadResult.Success)
            return result;
        ReadOnlySpan<byte> nonce = default, auth = default;
        for (; count > 0; count--)
        {
            if ((result = reader.ReadRaw(out var rawKey)) != ReadResult.Success || (result = reader.ReadRaw(out var rawValue)) != ReadResult.Success)
                return result;
            MessagePackReader.Decode(rawKey, out var key, out _);
            MessagePackReader.Decode(rawValue, out var value, out _);
            if (!value.IsBytes)
                continue;
            if (key.Payload.SequenceEqual("nonce"u8))
                nonce = value.Payload;
            else if (key.Payload.SequenceEqual("auth"u8))
                auth = value.Payload;
        }
        helo = new Helo { Nonce = nonce, Auth = auth, Consumed = reader.Position };
        return ReadResult.Success;
    }
}
