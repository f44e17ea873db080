using System.Buffers;

namespace Hikyaku.Forward;

/// <summary>
/// Takes one event message. Returns true when it is stored as durably as promised (it is acked then, if the sender asked
/// for it), false to close the connection without an ack. The message is valid until the call returns.
/// </summary>
/// <param name="message">The message; its kind is one of the four event modes.</param>
/// <param name="peer">The sender's address as text.</param>
/// <param name="cancellation">Ends with the server.</param>
public delegate ValueTask<bool> MessageReceived(ForwardMessage message, string peer, CancellationToken cancellation);

/// <summary>The receiving end: reads the messages of each connection in order, gives each to <paramref name="receive"/>, acks in the same order.</summary>
/// <param name="receive">Takes the messages. Called by many connections at once, for one connection one at a time.</param>
/// <param name="report">Takes one line of text per peer that speaks nonsense.</param>
/// <param name="messageBytesMax">The longest message in bytes; also the most that a compressed one may unpack to.</param>
/// <param name="time">The clock of time limits; null: the system's.</param>
public sealed class ForwardServer(MessageReceived receive, Action<string> report, int messageBytesMax = ForwardMessage.BytesMaxDefault, TimeProvider? time = null)
{
    private const int BufferBytes = 64 * 1024;
    private const int BufferBytesKept = 1024 * 1024;

    private const byte TlsHandshake = 0x16;

    // Something that is not Forward (HTTP, SSH) looks like a run of small integers.
    private const int IgnoredMax = 8;

    private static readonly TimeSpan LastAckGrace = TimeSpan.FromSeconds(1);

    /// <summary>Serves one connection to its end and disposes the stream. Does not throw; what goes wrong is this connection's alone.</summary>
    public async Task ServeAsync(Stream stream, string peer, CancellationToken cancellation)
    {
        try
        {
            await using (stream)
            {
                if (await ReceiveAsync(stream, peer, cancellation) is { } problem)
                    report($"{peer}: {problem}; connection closed");
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
            report($"{peer}: {e.Message}; connection closed");
        }
    }

    // Returns what is wrong with the peer, or null when the connection ended well.
    private async Task<string?> ReceiveAsync(Stream stream, string peer, CancellationToken cancellation)
    {
        // What has been stored should be acked even when the server stops in between, but a deaf peer must not hold it up.
        using var ackLimit = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time ?? TimeProvider.System);
        using var stopping = cancellation.Register(() => ackLimit.CancelAfter(LastAckGrace));
        var message = new ForwardMessage(messageBytesMax, messageBytesMax);
        var acks = new ByteBuffer();
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        var start = 0;
        var end = 0;
        var needed = 1;
        var ignored = 0;
        var first = true;
        try
        {
            while (true)
            {
                while (end - start >= needed)
                {
                    if (first && buffer[start] is (byte)'[' or (byte)'{')
                        return "sends JSON; this receiver takes MessagePack";
                    if (first && buffer[start] == TlsHandshake)
                        return "sends TLS; this receiver takes plain TCP";
                    first = false;
                    var kind = message.Parse(buffer.AsMemory(start, end - start));
                    if (kind == MessageKind.Malformed)
                        return $"sends {message.Reason}";
                    if (kind == MessageKind.NotEnough)
                    {
                        needed = message.Needed;
                        break;
                    }
                    if (kind == MessageKind.Ignored && ++ignored > IgnoredMax)
                        return $"does not speak the Forward protocol: {Printable.Text(buffer.AsSpan(start, end - start))}";
                    if (kind is not (MessageKind.Ignored or MessageKind.Heartbeat))
                    {
                        try
                        {
                            if (!await receive(message, peer, cancellation))
                                return null;
                        }
                        catch (Exception e) when (e is not OperationCanceledException)
                        {
                            return $"a message could not be stored and is not acked: {e.Message}";
                        }
                        if (!message.Chunk.IsEmpty)
                        {
                            acks.Clear(BufferBytes);
                            Ack.Write(acks, message.Chunk.Span, message.HasOrigin);
                            await stream.WriteAsync(acks.WrittenMemory, ackLimit.Token);
                            await stream.FlushAsync(ackLimit.Token);
                        }
                    }
                    start += message.Consumed;
                    needed = 1;
                }

                buffer = MakeRoom(buffer, ref start, ref end, needed);
                var read = await stream.ReadAsync(buffer.AsMemory(end), cancellation);
                if (read == 0)
                    return end > start ? $"closed in the middle of a message ({end - start} bytes of it came)" : null;
                end += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // Moves what is left to the front and grows by doubling: memory follows the bytes that came, not the length that was claimed.
    private static byte[] MakeRoom(byte[] buffer, ref int start, ref int end, int needed)
    {
        var left = end - start;
        var size = buffer.Length;
        if (left == size)
            size = (int)Math.Min((long)size * 2, Math.Max(needed, size + 1L));
        else if (left == 0 && size > BufferBytesKept)
            size = BufferBytes;
        if (size != buffer.Length)
        {
            var other = ArrayPool<byte>.Shared.Rent(size);
            buffer.AsSpan(start, left).CopyTo(other);
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = other;
        }
        else if (start > 0 && (left == 0 || buffer.Length - end < Math.Min(needed - left, BufferBytes)))
        {
            buffer.AsSpan(start, left).CopyTo(buffer);
        }
        else
        {
            return buffer;
        }
        start = 0;
        end = left;
        return buffer;
    }
}
