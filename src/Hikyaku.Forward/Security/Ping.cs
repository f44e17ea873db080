namespace Hikyaku.Forward;

/// <summary>The sender's proof: ["PING", host, salt, proof of the key, user, proof of the password]. Spans are valid as long as the bytes they were parsed from.</summary>
internal readonly ref struct Ping
{
    /// <summary>The name the sender gives itself.</summary>
    public ReadOnlySpan<byte> Host { get; init; }

    public ReadOnlySpan<byte> Salt { get; init; }

    public ReadOnlySpan<byte> KeyProof { get; init; }

    public ReadOnlySpan<byte> User { get; init; }

    public ReadOnlySpan<byte> PasswordProof { get; init; }

    public int Consumed { get; private init; }

    public void Write(ByteBuffer to)
    {
        MessagePackWriter.WriteArrayHeader(to, 6);
        MessagePackWriter.WriteText(to, "PING"u8);
        MessagePackWriter.WriteText(to, Host);
        MessagePackWriter.WriteText(to, Salt);
        MessagePackWriter.WriteText(to, KeyProof);
        MessagePackWriter.WriteText(to, User);
        MessagePackWriter.WriteText(to, PasswordProof);
    }

    public static ReadResult TryParse(ReadOnlySpan<byte> bytes, out Ping ping)
    {
        ping = default;
        var reader = new MessagePackReader(bytes);
        ReadOnlySpan<byte> salt = default, key = default, user = default, password = default;
        ReadResult result;
        if ((result = HandshakeArray.Begin(ref reader, "PING"u8, 6)) != ReadResult.Success
            || (result = HandshakeArray.ReadBytes(ref reader, out var host)) != ReadResult.Success
            || (result = HandshakeArray.ReadBytes(ref reader, out salt)) != ReadResult.Success
            || (result = HandshakeArray.ReadBytes(ref reader, out key)) != ReadResult.Success
            || (result = HandshakeArray.ReadBytes(ref reader, out user)) != ReadResult.Success
            || (result = HandshakeArray.ReadBytes(ref reader, out password)) != ReadResult.Success)
            return result;
        ping = new Ping { Host = host, Salt = salt, KeyProof = key, User = user, PasswordProof = password, Consumed = reader.Position };
        return ReadResult.Success;
    }
}
