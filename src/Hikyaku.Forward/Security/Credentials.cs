namespace Hikyaku.Forward;

/// <summary>Makes of a connected stream one over which chunks may be sent: TLS, then the handshake, as far as they are configured.</summary>
/// <param name="settings">What this sender has and asks for.</param>
/// <param name="host">The name this sender gives itself.</param>
/// <param name="fill">Fills bytes at random.</param>
/// <param name="time">The clock of time limits and certificates.</param>
/// <param name="report">Takes a line of text for people.</param>
public sealed class Credentials(CredentialSettings settings, string host, RandomFill fill, TimeProvider time, Action<string> report)
{
    private readonly TlsFiles? files = settings.Tls is { } tls ? new TlsFiles(tls, time, report) : null;
    private readonly ClientHandshake? handshake = settings.SharedKey is { } key ? new ClientHandshake(host, key, settings.User, fill, time) : null;

    /// <summary>Takes over the stream. Throws <see cref="ForwardException"/> or IOException, and has then ended it.</summary>
    /// <param name="stream">Connected.</param>
    /// <param name="server">The name or address it was dialled by.</param>
    /// <param name="cancellation">Gives up.</param>
    public async ValueTask<Stream> OpenAsync(Stream stream, string server, CancellationToken cancellation)
    {
        try
        {
            if (files is not null)
                stream = await TlsHandshake.ConnectAsync(stream, files, server, cancellation);
            if (handshake is not null)
                await handshake.RunAsync(stream, cancellation);
            return stream;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    /// <summary>Says when certificates expire or cannot be read, until cancelled.</summary>
    public Task WatchAsync(CancellationToken cancellation) => files?.WatchAsync(cancellation) ?? Task.Delay(Timeout.InfiniteTimeSpan, time, cancellation);
}
