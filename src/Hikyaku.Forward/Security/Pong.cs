namespace Hikyaku.Forward;

/// <summary>The receiver's verdict, and its own proof: ["PONG", accepted, reason, host, proof of the key]. Spans are valid as long as the bytes they were parsed from.</summary>
internal readonly ref struct Pong
{
    public bool IsAccepted { get; init; }

    /// <summary>Why not; empty if accepted.</summary>
    public ReadOnlySpan<byte> Reason { get; init; }

    /// <summary>The name the receiver gives itself.</summary>
    public ReadOnlySpan<byte> Host { get; init; }

    public ReadOnlySpan<byte> KeyProof { get; init; }

    public int Consumed { get; private init; }

    public void Write(ByteBuffer to)
    {
        MessagePackWriter.WriteArrayHeader(to, 5);
        MessagePackWriter.WriteText(to, "PONG"u8);
        MessagePackWriter.WriteBoolean(to, IsAccepted);
        MessagePackWriter.WriteText(to, Reason);
        MessagePackWriter.WriteText(to, Host);
        MessagePackWriter.WriteText(to, KeyProof);
    }

    public static ReadResult TryParse(ReadOnlySpan<byte> bytes, out Pong pong)
    {
        pong = default;
        var reader = new MessagePackReader(bytes);
        var result = HandshakeArray.Begin(ref reader, "PONG"u8, 5);
        if (result != ReadResult.Success)
            return result;
        if ((result = reader.Read(out var verdict)) != ReadResult.Success)
            return result;
        if (verdict.Kind != MessagePackKind.Boolean)
            return ReadResult.Malformed;
        ReadOnlySpan<byte> host = default, proof = default;
        if ((result = HandshakeArray.ReadBytes(ref reader, out var reason)) != ReadResult.Success
            || (result = HandshakeArray.ReadBytes(ref reader, out host)) != ReadResult.Success
            || (result = HandshakeArray.ReadBytes(ref reader, out proof)) != ReadResult.Success)
            return result;
        pong = new Pong { IsAccepted = verdict.Number == 1, Reason = reason, Host = host, KeyProof = proof, Consumed = reader.Position };
        return ReadResult.Success;
    }
}
