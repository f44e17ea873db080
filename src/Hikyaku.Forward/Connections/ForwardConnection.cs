namespace Hikyaku.Forward;

/// <summary>Takes the id of an acknowledged chunk: the bytes of the text given as <see cref="ChunkOptions.Id"/>. The span is valid during the call.</summary>
public delegate void AckReceived(ReadOnlySpan<byte> id);

/// <summary>
/// The sending end of one connection. Any number of chunks may be in flight; acks are reported as they come, and the caller
/// matches them by id. It ends once, with the first reason; a caller that misses an ack ends it with <see cref="Close"/>.
/// </summary>
public sealed class ForwardConnection : IAsyncDisposable
{
    // An answer is an id in a small map; a peer that sends more has something else to say.
    private const int AnswerBytesMax = 64 * 1024;

    private readonly Stream stream;
    private readonly AckReceived acked;
    private readonly CancellationTokenSource closing = new();
    private readonly TaskCompletionSource<string> closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? reason;
    private volatile int peerVersion;

    /// <summary>Takes over a connected stream and begins to read acks from it. <paramref name="acked"/> is called from the reading loop and should be short.</summary>
    public ForwardConnection(Stream stream, AckReceived acked)
    {
        this.stream = stream;
        this.acked = acked;
        _ = ReadAsync();
    }

    /// <summary>Completes with the reason when the connection has ended; no ack is reported after that.</summary>
    public Task<string> Closed => closed.Task;

    /// <summary>0 until an ack has shown the receiver to be a Hikyaku node; then what it takes, see <see cref="Ack.Hikyaku"/>.</summary>
    public int PeerVersion => peerVersion;

    /// <summary>Sends one message. One call at a time. Throws <see cref="ForwardException"/> with the reason when the connection has ended; a call given up half way ends it.</summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellation = default)
    {
        if (reason is { } ended)
            throw new ForwardException(ended);
        try
        {
            await stream.WriteAsync(message, cancellation);
            await stream.FlushAsync(cancellation);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Part of the message may be out, so nothing sensible can follow it.
            Close("a send was given up");
            throw;
        }
        catch (Exception e)
        {
            Close(Describe(e));
            throw new ForwardException(reason!, e);
        }
    }

    /// <summary>Ends the connection; only the first reason counts. Does not wait.</summary>
    public void Close(string why)
    {
        if (Interlocked.CompareExchange(ref reason, why, null) is not null)
            return;
        closing.Cancel();
        stream.Dispose();
    }

    /// <summary>Ends the connection and waits until no ack can be reported any more.</summary>
    public async ValueTask DisposeAsync()
    {
        Close("closed by this side");
        await closed.Task;
    }

    private async Task ReadAsync()
    {
        // The constructor returns before the first ack is reported.
        await Task.Yield();
        var buffer = new byte[1024];
        var count = 0;
        var answered = false;
        try
        {
            while (true)
            {
                if (count == buffer.Length)
                {
                    if (count == AnswerBytesMax)
                    {
                        Close($"the receiver answers with more than {AnswerBytesMax} bytes that are no ack");
                        break;
                    }
                    Array.Resize(ref buffer, count * 2);
                }
                var read = await stream.ReadAsync(buffer.AsMemory(count), closing.Token);
                if (read == 0)
                {
                    Close(answered ? "closed by the receiver" : "closed by the receiver before it acknowledged anything; its own messages may say why");
                    break;
                }
                count += read;
                var taken = TakeAcks(buffer.AsSpan(0, count));
                if (taken < 0)
                    break;
                answered |= taken > 0;
                buffer.AsSpan(taken, count - taken).CopyTo(buffer);
                count -= taken;
            }
        }
        catch (Exception e)
        {
            Close(Describe(e));
        }
        closed.TrySetResult(reason!);
    }

    // Reports the acks that are whole; returns how many bytes they took, or -1 after closing.
    private int TakeAcks(ReadOnlySpan<byte> bytes)
    {
        var taken = 0;
        while (taken < bytes.Length && reason is null)
        {
            var result = Ack.TryParse(bytes[taken..], out var ack);
            if (result == ReadResult.Insufficient)
                break;
            if (result == ReadResult.Malformed)
            {
                Close(DescribeNoAck(bytes[taken..]));
                return -1;
            }
            taken += ack.Consumed;
            if (ack.Hikyaku > 0)
                peerVersion = ack.Hikyaku;
            acked(ack.Id);
        }
        return taken;
    }

    private static string DescribeNoAck(ReadOnlySpan<byte> bytes)
    {
        var reader = new MessagePackReader(bytes);
        if (reader.ReadArray(out _) == ReadResult.Success && reader.Read(out var name) == ReadResult.Success
            && name.Payload.SequenceEqual("HELO"u8))
            return "the receiver asks for a shared key (HELO), and none is configured here";
        return $"the receiver answers with something else than an ack: {Printable.Text(bytes)}";
    }

    // Through TLS what happened is two exceptions deep.
    private static string Describe(Exception e)
    {
        while (e.InnerException is { } inner)
            e = inner;
        return e.Message;
    }
}
