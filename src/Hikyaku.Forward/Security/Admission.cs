using System.Net;
using System.Net.Sockets;

namespace Hikyaku.Forward;

/// <summary>The door of a receiver: who may connect, TLS, and the handshake, as far as they are configured. Nothing of a peer that does not pass it goes any further.</summary>
/// <param name="settings">What is asked for.</param>
/// <param name="host">The name this receiver gives itself.</param>
/// <param name="lookup">Looks up the names in the settings.</param>
/// <param name="fill">Fills bytes at random.</param>
/// <param name="time">The clock of time limits and certificates.</param>
/// <param name="report">Takes a line of text for people.</param>
public sealed class Admission(AdmissionSettings settings, string host, HostLookup lookup, RandomFill fill, TimeProvider time, Action<string> report)
{
    /// <summary>How long a peer may take from connecting to having passed.</summary>
    public static readonly TimeSpan PassTime = TimeSpan.FromSeconds(10);

    private readonly AllowList? allow = settings.Networks.Count + settings.Names.Count > 0 ? new AllowList(settings.Networks, settings.Names, lookup, time) : null;
    private readonly TlsFiles? files = settings.Tls is { } tls ? new TlsFiles(tls, time, report) : null;
    private readonly ServerHandshake? handshake = settings.SharedKey is { } key ? new ServerHandshake(host, key, settings.Users, fill) : null;
    private readonly Doorstep doorstep = new();
    private long notAllowed, refused;
    private int inside;

    /// <summary>What happened so far.</summary>
    public AdmissionStatus Status() => new(settings.Describe(), Volatile.Read(ref inside), Interlocked.Read(ref notAllowed), Interlocked.Read(ref refused));

    /// <summary>Says when certificates expire or cannot be read, until cancelled.</summary>
    public Task WatchAsync(CancellationToken cancellation) => files?.WatchAsync(cancellation) ?? Task.Delay(Timeout.InfiniteTimeSpan, time, cancellation);

    /// <summary>Connections that have neither passed nor been refused.</summary>
    internal int Waiting => doorstep.Taken;

    /// <summary>The stream to go on with, or null: then the connection is to be closed.</summary>
    internal async ValueTask<Stream?> PassAsync(Stream stream, ReceiveBuffer buffer, string peer, PeerReports peers, CancellationToken cancellation)
    {
        if (doorstep.Enter(peer) is { } crowd)
            return Refuse(peers, peer, crowd);
        using var limit = new CancellationTokenSource(PassTime, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        var hasPassed = false;
        try
        {
            if (allow is not null && !(IPAddress.TryParse(peer, out var address) && await allow.AllowsAsync(address, either.Token)))
            {
                Interlocked.Increment(ref notAllowed);
                peers.Tell(peer, "may not connect (receive.forward.allow)");
                return null;
            }
            if (files is not null)
            {
                switch (await FirstByteAsync(stream, either.Token))
                {
                    case null:
                        // Closed without a word, as a check of the port does.
                        return null;
                    case ForwardServer.TlsHandshake:
                        break;
                    default:
                        return Refuse(peers, peer, "does not speak TLS, which is asked for here");
                }
                stream = await TlsHandshake.AcceptAsync(stream, files, either.Token);
            }
            if (handshake is not null && await handshake.RunAsync(stream, buffer, either.Token) is { } trouble)
                return trouble.Length > 0 ? Refuse(peers, peer, trouble) : null;
            hasPassed = true;
            return stream;
        }
        catch (ForwardException e)
        {
            return Refuse(peers, peer, e.Message);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return Refuse(peers, peer, $"has not proved who it is within {PassTime.TotalSeconds} s");
        }
        finally
        {
            doorstep.Leave(peer);
            if (!hasPassed)
                await stream.DisposeAsync();
        }
    }

    internal void Enter() => Interlocked.Increment(ref inside);

    internal void Leave() => Interlocked.Decrement(ref inside);

    private Stream? Refuse(PeerReports peers, string peer, string trouble)
    {
        Interlocked.Increment(ref refused);
        peers.Tell(peer, trouble);
        return null;
    }

    // Left in the socket. Streams that are none, in tests, are taken for what is expected.
    private static async ValueTask<byte?> FirstByteAsync(Stream stream, CancellationToken cancellation)
    {
        if (stream is not NetworkStream { Socket: var socket })
            return ForwardServer.TlsHandshake;
        var first = new byte[1];
        try
        {
            return await socket.ReceiveAsync(first, SocketFlags.Peek, cancellation) == 0 ? null : first[0];
        }
        catch (SocketException)
        {
            // Reset instead of closed.
            return null;
        }
    }
}

/// <summary>What peers must show, and how many of the connections have.</summary>
/// <param name="Asks">In words.</param>
/// <param name="Inside">Connections that have passed and are open now.</param>
/// <param name="NotAllowed">Closed because of their address.</param>
/// <param name="Refused">Closed because TLS, the shared key, or name and password failed.</param>
public sealed record AdmissionStatus(string Asks, int Inside, long NotAllowed, long Refused);
