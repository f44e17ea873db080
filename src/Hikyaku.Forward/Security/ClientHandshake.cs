using System.Text;

namespace Hikyaku.Forward;

/// <summary>The sending end of the handshake: HELO, PING, PONG.</summary>
/// <param name="host">The name this sender gives itself; the receiver must have another.</param>
/// <param name="key">What both must know.</param>
/// <param name="user">Who to be, if the receiver asks.</param>
/// <param name="fill">Fills bytes at random.</param>
/// <param name="time">The clock of the time limit.</param>
internal sealed class ClientHandshake(string host, Secret key, ForwardUser? user, RandomFill fill, TimeProvider time)
{
    /// <summary>How long the receiver may take for its HELO, and for its PONG.</summary>
    public static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(5);

    private const int AnswerBytesMax = 4096;
    private const int SaltBytes = 16;

    private readonly byte[] hostBytes = Encoding.UTF8.GetBytes(host);

    /// <summary>Returns when each end knows that the other has the key. Throws <see cref="ForwardException"/> with the reason otherwise.</summary>
    public async ValueTask RunAsync(Stream stream, CancellationToken cancellation)
    {
        var salt = new byte[SaltBytes];
        fill(salt);
        // Text, as fluentd makes it: some take nothing else.
        salt = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(salt));
        var buffer = new byte[AnswerBytesMax];
        var helo = await ReadAsync(stream, buffer, HeloLength, "no HELO; it asks for no shared key, or takes TLS", cancellation);
        var nonce = Answer(buffer.AsSpan(0, helo), salt, out var ping);
        await stream.WriteAsync(ping.WrittenMemory, cancellation);
        await stream.FlushAsync(cancellation);
        var pong = await ReadAsync(stream, buffer, PongLength, "no PONG", cancellation);
        Judge(buffer.AsSpan(0, pong), salt, nonce);
    }

    // Returns the nonce, which is needed once more.
    private byte[] Answer(ReadOnlySpan<byte> bytes, byte[] salt, out ByteBuffer ping)
    {
        Helo.TryParse(bytes, out var helo);
        var name = user is not null && !helo.Auth.IsEmpty ? Encoding.UTF8.GetBytes(user.Name) : [];
        ping = new ByteBuffer();
        new Ping
        {
            Host = hostBytes,
            Salt = salt,
            KeyProof = SharedKeyDigest.OfKey(salt, hostBytes, helo.Nonce, key),
            User = name,
            // fluentd sends an auth also where it asks for no user.
            PasswordProof = helo.Auth.IsEmpty ? default : SharedKeyDigest.OfPassword(helo.Auth, name, user is null ? default : user.Password.Bytes),
        }.Write(ping);
        return helo.Nonce.ToArray();
    }

    private void Judge(ReadOnlySpan<byte> bytes, byte[] salt, byte[] nonce)
    {
        Pong.TryParse(bytes, out var pong);
        if (!pong.IsAccepted)
            throw new ForwardException(pong.Reason.StartsWith("shared_key"u8) ? "the receiver refuses the shared key"
                : pong.Reason.StartsWith("username/password"u8) ? $"the receiver refuses {(user is null ? "who names no user" : $"user {user.Name} or the password")}"
                : $"the receiver refuses this host: {Printable.Text(pong.Reason)}");
        // Otherwise what this side sent could be sent back to it as a proof.
        if (pong.Host.SequenceEqual(hostBytes))
            throw new ForwardException($"the receiver calls itself {host}, as this host does; one of them needs another name");
        if (!SharedKeyDigest.AreEqual(SharedKeyDigest.OfKey(salt, pong.Host, nonce, key), pong.KeyProof))
            throw new ForwardException("the receiver does not know the shared key itself (its PONG is wrong)");
    }

    // Returns the length of the answer. A receiver says nothing behind it until it is spoken to again.
    private async ValueTask<int> ReadAsync(Stream stream, byte[] buffer, AnswerLength lengthOf, string none, CancellationToken cancellation)
    {
        using var limit = new CancellationTokenSource(AnswerTime, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        var count = 0;
        int length;
        while ((length = lengthOf(buffer.AsSpan(0, count))) == 0 && count < buffer.Length)
        {
            int read;
            try
            {
                read = await stream.ReadAsync(buffer.AsMemory(count), either.Token);
            }
            catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
            {
                throw new ForwardException($"within {AnswerTime.TotalSeconds} s the receiver sent {none}", e);
            }
            if (read == 0)
                throw new ForwardException($"the receiver closed the connection; it sent {none}");
            count += read;
        }
        return length == count ? length : throw new ForwardException($"the receiver sent {none}, but {Printable.Text(buffer.AsSpan(0, count))}");
    }

    // 0: more must come. -1: it is something else.
    private delegate int AnswerLength(ReadOnlySpan<byte> bytes);

    private static int HeloLength(ReadOnlySpan<byte> bytes) => Length(Helo.TryParse(bytes, out var helo), helo.Consumed);

    private static int PongLength(ReadOnlySpan<byte> bytes) => Length(Pong.TryParse(bytes, out var pong), pong.Consumed);

    private static int Length(ReadResult result, int consumed) => result switch
    {
        ReadResult.Success => consumed,
        ReadResult.Insufficient => 0,
        _ => -1,
    };
}
