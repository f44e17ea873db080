using System.Text;

namespace Hikyaku.Forward;

/// <summary>
/// The receiving end of the handshake: HELO, PING, PONG. Until it is over a peer costs the idle buffer of its connection and
/// nothing else.
/// </summary>
/// <param name="host">The name this receiver gives itself.</param>
/// <param name="key">What peers must know.</param>
/// <param name="users">Of whom a peer must be one; empty: it needs no name.</param>
/// <param name="fill">Fills bytes at random.</param>
internal sealed class ServerHandshake(string host, Secret key, IReadOnlyList<ForwardUser> users, RandomFill fill)
{
    private const int NonceBytes = 16;

    private readonly byte[] hostBytes = Encoding.UTF8.GetBytes(host);

    /// <summary>Null: the peer has proved all that is asked for, and what it sends goes on in the buffer. Otherwise what is wrong, or "" if it only left.</summary>
    public async ValueTask<string?> RunAsync(Stream stream, ReceiveBuffer buffer, CancellationToken cancellation)
    {
        var nonce = new byte[NonceBytes];
        var auth = new byte[users.Count == 0 ? 0 : NonceBytes];
        fill(nonce);
        fill(auth);
        var answer = new ByteBuffer();
        Helo.Write(answer, nonce, auth);
        // Each in one piece: fluentd does not put pieces together.
        await SendAsync(stream, answer, cancellation);
        ReadResult result;
        while ((result = Ping.TryParse(buffer.Bytes.Span, out _)) == ReadResult.Insufficient)
        {
            if (buffer.Room.IsEmpty)
                return $"sends a PING of more than {buffer.Count} bytes";
            var read = await stream.ReadAsync(buffer.Room, cancellation);
            if (read == 0)
                return buffer.Count == 0 ? "" : $"closed in the middle of a PING ({buffer.Count} bytes of it came)";
            buffer.Add(read);
        }

        answer.Clear();
        var trouble = result == ReadResult.Malformed
            ? Refuse(answer, "invalid ping message"u8, ForwardServer.Foreign(buffer.Bytes.Span[0]) ?? $"sends no PING, though a shared key is asked for: {Printable.Text(buffer.Bytes.Span)}")
            : Judge(buffer, nonce, auth, answer);
        await SendAsync(stream, answer, cancellation);
        return trouble;
    }

    private string? Judge(ReceiveBuffer buffer, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> auth, ByteBuffer answer)
    {
        Ping.TryParse(buffer.Bytes.Span, out var ping);
        if (!SharedKeyDigest.AreEqual(SharedKeyDigest.OfKey(ping.Salt, ping.Host, nonce, key), ping.KeyProof))
            return Refuse(answer, "shared_key mismatch"u8, $"has another shared key (it calls itself {Printable.Text(ping.Host)})");
        if (users.Count > 0 && !IsUser(ping, auth))
            return Refuse(answer, "username/password mismatch"u8, $"is no user known here, or has another password (user {Printable.Text(ping.User)})");
        new Pong { IsAccepted = true, Host = hostBytes, KeyProof = SharedKeyDigest.OfKey(ping.Salt, hostBytes, nonce, key) }.Write(answer);
        buffer.Take(ping.Consumed);
        return null;
    }

    // As long for a name that is not known as for one that is.
    private bool IsUser(Ping ping, ReadOnlySpan<byte> auth)
    {
        ReadOnlySpan<byte> password = default;
        var isKnown = false;
        foreach (var user in users)
        {
            if (!SharedKeyDigest.AreEqual(Encoding.UTF8.GetBytes(user.Name), ping.User))
                continue;
            password = user.Password.Bytes;
            isKnown = true;
        }

        return SharedKeyDigest.AreEqual(SharedKeyDigest.OfPassword(auth, ping.User, password), ping.PasswordProof) & isKnown;
    }

    private static string Refuse(ByteBuffer answer, ReadOnlySpan<byte> reason, string trouble)
    {
        new Pong { Reason = reason }.Write(answer);
        return trouble;
    }

    private static async ValueTask SendAsync(Stream stream, ByteBuffer bytes, CancellationToken cancellation)
    {
        await stream.WriteAsync(bytes.WrittenMemory, cancellation);
        await stream.FlushAsync(cancellation);
    }
}
