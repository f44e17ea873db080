namespace Hikyaku.Forward;

/// <summary>
/// Takes one event message. Returns true when it is stored as durably as promised (it is acked then, if the sender asked
/// for it), false to close the connection without an ack. The message is valid until the call returns.
/// </summary>
/// <param name="message">The message; its kind is one of the four event modes.</param>
/// <param name="peer">The sender.</param>
/// <param name="cancellation">Ends with the server.</param>
public delegate ValueTask<bool> MessageReceived(ForwardMessage message, ForwardPeer peer, CancellationToken cancellation);

/// <summary>The receiving end: reads the messages of each connection in order, gives each to <paramref name="receive"/>, acks in the same order.</summary>
/// <param name="receive">Takes the messages. Called by many connections at once, for one connection one at a time.</param>
/// <param name="report">Takes one line of text per peer that speaks nonsense, until it speaks sense again.</param>
/// <param name="messageBytesMax">The longest message in bytes; also the most that a compressed one may unpack to.</param>
/// <param name="time">The clock of time limits; null: the system's.</param>
/// <param name="buffersBytesMax">The most memory that all connections together hold for unfinished messages.</param>
/// <param name="admission">What a peer must pass before its first message; null: nothing.</param>
public sealed class ForwardServer(
    MessageReceived receive, Action<string> report, int messageBytesMax = ForwardMessage.BytesMaxDefault, TimeProvider? time = null,
    long buffersBytesMax = ForwardServer.BuffersBytesMaxDefault, Admission? admission = null)
{
    /// <summary>512 MiB.</summary>
    public const long BuffersBytesMaxDefault = 512L << 20;

    /// <summary>How long a peer may take for <see cref="ProgressBytes"/> of a message that it has begun, or to take an ack.</summary>
    public static readonly TimeSpan ProgressTime = TimeSpan.FromSeconds(60);

    /// <summary>What must come within <see cref="ProgressTime"/>, unless the message is complete before. A byte now and then is no progress.</summary>
    public const int ProgressBytes = 64 * 1024;

    /// <summary>What TLS begins with.</summary>
    internal const byte TlsHandshake = 0x16;

    // Something that is not Forward (HTTP, SSH) looks like a run of small integers.
    private const int IgnoredMax = 8;

    private static readonly TimeSpan LastAckGrace = TimeSpan.FromSeconds(1);

    private readonly TimeProvider clock = time ?? TimeProvider.System;
    private readonly PeerReports peers = new(report, time ?? TimeProvider.System, "; connection closed");
    private readonly BufferBudget budget = new(buffersBytesMax, report, time ?? TimeProvider.System);
    private ulong connections;

    /// <summary>Connections that do not count among the many: they have not proved who they are, and have a limit of their own.</summary>
    internal int Strangers => admission?.Waiting ?? 0;

    /// <summary>Serves one connection to its end and disposes the stream. Does not throw; what goes wrong is this connection's alone.</summary>
    public async Task ServeAsync(Stream stream, string peer, CancellationToken cancellation)
    {
        try
        {
            await using (stream)
            {
                using var buffer = new ReceiveBuffer(budget);
                if (admission is null)
                    await ReceiveAsync(stream, buffer, peer, cancellation);
                else
                    await AdmitAsync(admission, stream, buffer, peer, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The server stops.
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer is gone. What it has no ack for it sends again.
        }
        catch (Exception e)
        {
            peers.Tell(peer, e.Message);
        }
    }

    private async Task AdmitAsync(Admission door, Stream stream, ReceiveBuffer buffer, string address, CancellationToken cancellation)
    {
        if (await door.PassAsync(stream, buffer, address, peers, cancellation) is not { } passed)
            return;
        door.Enter();
        try
        {
            await using (passed)
                await ReceiveAsync(passed, buffer, address, cancellation);
        }
        finally
        {
            door.Leave();
        }
    }

    private async Task ReceiveAsync(Stream stream, ReceiveBuffer buffer, string address, CancellationToken cancellation)
    {
        var peer = new ForwardPeer(address, Interlocked.Increment(ref connections));
        // What has been stored should be acked even when the server stops in between, but a deaf peer must not hold it up.
        using var ackLimit = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
        using var stopping = cancellation.UnsafeRegister(_ => ackLimit.CancelAfter(LastAckGrace), null);
        using var readLimit = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
        using var stoppingToo = cancellation.UnsafeRegister(_ => readLimit.Cancel(), null);
        var message = new ForwardMessage(messageBytesMax, messageBytesMax);
        var acks = new ByteBuffer();
        var needed = 1;
        var ignored = 0;
        var first = true;
        var limited = false;
        var progress = 0;
        while (true)
        {
            while (buffer.Count >= needed)
            {
                if (first && Foreign(buffer.Bytes.Span[0]) is { } foreign)
                {
                    peers.Tell(peer.Address, foreign);
                    return;
                }
                first = false;
                var kind = message.Parse(buffer.Bytes);
                if (kind == MessageKind.Malformed)
                {
                    peers.Tell(peer.Address, $"sends {message.Reason}");
                    return;
                }
                if (kind == MessageKind.NotEnough)
                {
                    needed = message.Needed;
                    break;
                }
                if (kind == MessageKind.Ignored && ++ignored > IgnoredMax)
                {
                    peers.Tell(peer.Address, $"does not speak the Forward protocol: {Printable.Text(buffer.Bytes.Span)}");
                    return;
                }
                if (limited)
                    readLimit.CancelAfter(Timeout.InfiniteTimeSpan);
                limited = false;
                if (kind is not (MessageKind.Ignored or MessageKind.Heartbeat))
                {
                    if (!await StoreAsync(message, peer, cancellation))
                        return;
                    if (!message.Chunk.IsEmpty && !await AckAsync(stream, message, acks, peer, ackLimit, cancellation))
                        return;
                }
                buffer.Take(message.Consumed);
                needed = 1;
            }

            if (!buffer.TryMakeRoom(needed))
                return;
            // A peer may be idle as long as it likes, but not in the middle of a message.
            if (buffer.Count > 0 && (!limited || progress >= ProgressBytes))
            {
                readLimit.CancelAfter(ProgressTime);
                limited = true;
                progress = 0;
            }
            int read;
            try
            {
                read = await stream.ReadAsync(buffer.Room, readLimit.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                peers.Tell(peer.Address, $"stops in the middle of a message ({buffer.Count} bytes of it came, {progress} of them in the last {ProgressTime.TotalSeconds} s)");
                return;
            }
            if (read == 0)
            {
                if (buffer.Count > 0)
                    peers.Tell(peer.Address, $"closed in the middle of a message ({buffer.Count} bytes of it came)");
                return;
            }
            buffer.Add(read);
            progress += read;
        }
    }

    // What is known by the very first byte to be another protocol.
    internal static string? Foreign(byte first) => first switch
    {
        (byte)'[' or (byte)'{' => "sends JSON; this receiver takes MessagePack",
        TlsHandshake => "sends TLS; this receiver takes plain TCP",
        _ => null,
    };

    // False: it is not stored, and the connection is to be closed.
    private async ValueTask<bool> StoreAsync(ForwardMessage message, ForwardPeer peer, CancellationToken cancellation)
    {
        // Known only after it was unpacked, so as many messages as there are processors may be over the budget for a moment.
        var held = message.BytesHeld;
        if (!budget.TryTake(held))
            return false;
        try
        {
            var stored = await receive(message, peer, cancellation);
            if (stored)
                peers.Well(peer.Address);
            return stored;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            peers.Tell(peer.Address, $"a message could not be stored and is not acked: {e.Message}");
            return false;
        }
        finally
        {
            message.Release();
            budget.Give(held);
        }
    }

    // False: the peer does not take it, and the connection is to be closed.
    private async ValueTask<bool> AckAsync(
        Stream stream, ForwardMessage message, ByteBuffer acks, ForwardPeer peer, CancellationTokenSource limit, CancellationToken cancellation)
    {
        acks.Clear(ProgressBytes);
        Ack.Write(acks, message.Chunk.Span, message.HasOrigin ? Ack.Ours : 0);
        var write = stream.WriteAsync(acks.WrittenMemory, limit.Token);
        var limited = !write.IsCompleted;
        if (limited)
            SetLimit(ProgressTime);
        try
        {
            await write;
            await stream.FlushAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            peers.Tell(peer.Address, $"takes no acks for {ProgressTime.TotalSeconds} s");
            return false;
        }
        if (limited)
            SetLimit(Timeout.InfiniteTimeSpan);
        return true;

        void SetLimit(TimeSpan delay)
        {
            limit.CancelAfter(delay);
            // The server's stop may have set its own limit just before.
            if (cancellation.IsCancellationRequested)
                limit.CancelAfter(LastAckGrace);
        }
    }
}
