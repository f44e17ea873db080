using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Sends chunks to one of several servers: of two picked by chance among those that are connected, the less loaded. A chunk
/// that was sent stays with its receiver until it is acknowledged, over reconnections and restarts, so that none arrives twice.
/// </summary>
internal sealed class ForwardOutput : Output
{
    private readonly Receiver[] _receivers;
    private readonly Random _random;
    private readonly Stack<ForwardChunk> _spare = new();
    private readonly Compressor? _gzip;
    private readonly Compressor? _zstd;

    public ForwardOutput(ForwardOutputSettings settings, Guid origin, string route, string tag, Dial dial, TimeProvider time, Random random, Action<string> report)
    {
        Origin = origin;
        Route = Encoding.UTF8.GetBytes(route);
        Tag = Encoding.UTF8.GetBytes(tag);
        _random = random;
        // Not all servers may take zstd.
        _gzip = Compressor.Make(settings.Compress == Compression.None ? Compression.None : Compression.Gzip);
        _zstd = settings.Compress == Compression.Zstd && Compressor.IsAvailable(Compression.Zstd) ? Compressor.Make(Compression.Zstd) : null;
        _receivers = [.. settings.Servers.Select(server => new Receiver(server, dial, time, () => Changed(), report))];
    }

    public Guid Origin { get; }
    public byte[] Route { get; }
    public byte[] Tag { get; }

    public override Chunk? TryBegin(ReadOnlySpan<byte> note)
    {
        var compact = false;
        var receiver = note.IsEmpty ? Choose() : Noted(note, out compact);
        if (receiver is null)
            return null;
        var chunk = _spare.TryPop(out var spare) ? spare : new ForwardChunk(this);
        chunk.Begin(receiver, note.IsEmpty ? receiver.TakesCompact : compact);
        return chunk;
    }

    public override void Deliver(Chunk chunk, ulong lowest)
    {
        var message = (ForwardChunk)chunk;
        message.Seal(lowest);
        message.Receiver.Send(message);
    }

    public override void Free(Chunk chunk)
    {
        if (chunk is ForwardChunk { IsWorthKeeping: true } spare)
            _spare.Push(spare);
    }

    public override IReadOnlyList<ReceiverStatus> Status() => [.. _receivers.Select(static r => r.Status())];

    public override async ValueTask DisposeAsync()
    {
        foreach (var receiver in _receivers)
            await receiver.DisposeAsync();
        _gzip?.Dispose();
        _zstd?.Dispose();
    }

    /// <summary>The best that the configuration asks for and the server takes; null: none. For the pump's own thread.</summary>
    public Compressor? CompressorFor(Receiver receiver) => _zstd is not null && receiver.TakesZstd ? _zstd : _gzip;

    /// <summary>A server with room; null when there is none.</summary>
    public Receiver? Choose()
    {
        Receiver? best = null;
        var seen = 0;
        var start = _random.Next(_receivers.Length);
        for (var i = 0; i < _receivers.Length && seen < 2; i++)
        {
            var receiver = _receivers[(start + i) % _receivers.Length];
            if (!receiver.HasRoom)
                continue;
            seen++;
            if (best is null || receiver.InFlight < best.InFlight)
                best = receiver;
        }

        return best;
    }

    // A server that left the configuration still has its chunks: they go to another one, and may then arrive twice.
    private Receiver? Noted(ReadOnlySpan<byte> note, out bool compact)
    {
        ForwardNote.Read(note, out var server, out compact);
        foreach (var receiver in _receivers)
        {
            if (server.SequenceEqual(receiver.NameBytes))
                return receiver;
        }

        return Choose();
    }
}
