namespace Hikyaku.Forward;

/// <summary>What all messages of the handshake begin with: an array of a known length, and the message's name in it.</summary>
internal static class HandshakeArray
{
    public static ReadResult Begin(scoped ref MessagePackReader reader, ReadOnlySpan<byte> name, uint length)
    {
        var result = reader.ReadArray(out var count);
        if (result != ReadResult.Success)
            return result;
        if (count != length)
            return ReadResult.Malformed;
        result = ReadBytes(ref reader, out var found);
        return result == ReadResult.Success && !found.SequenceEqual(name) ? ReadResult.Malformed : result;
    }

    /// <summary>A str or a bin, for peers use one for the other; nil counts as empty.</summary>
    public static ReadResult ReadBytes(scoped ref MessagePackReader reader, out ReadOnlySpan<byte> bytes)
    {
        var result = reader.Read(out var token);
        bytes = token.Payload;
        return result == ReadResult.Success && !token.IsBytes && token.Kind != MessagePackKind.Nil ? ReadResult.Malformed : result;
    }
}
