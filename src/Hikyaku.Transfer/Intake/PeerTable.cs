using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Transfer.Intake;

/// <summary>
/// What has been received from whom: per origin and route the lowest number not acknowledged to the sender, and the numbers
/// received above it. Kept in memory, stated in each segment of the log, so that the newest segment alone brings it back.
/// </summary>
internal sealed class PeerTable
{
    /// <summary>Senders remembered at most; beyond it the one heard of least recently is forgotten, and reported.</summary>
    public const int PeersMax = 65_536;

    private sealed class Peer(Guid origin, string route)
    {
        public Guid Origin { get; } = origin;
        public string Route { get; } = route;
        public ulong Done { get; set; }
        public HashSet<ulong> Above { get; } = [];
        public long Heard { get; set; }
    }

    private readonly Dictionary<(Guid, string), Peer> _peers = [];
    private readonly Action<string> _report;
    private long _clock;

    public PeerTable(Action<string> report) => _report = report;

    public int Count => _peers.Count;

    /// <summary>True if the chunk is stored already. The sender's <paramref name="done"/> lets what it will never repeat be forgotten.</summary>
    public bool IsRepeat(Guid origin, ReadOnlySpan<byte> route, ulong number, ulong done)
    {
        var peer = Find(origin, route);
        peer.Heard = ++_clock;
        if (done > peer.Done)
        {
            peer.Done = done;
            peer.Above.RemoveWhere(n => n < done);
        }

        return number < peer.Done || peer.Above.Contains(number);
    }

    public void Add(Guid origin, ReadOnlySpan<byte> route, ulong number) => Find(origin, route).Above.Add(number);

    /// <summary>Takes up what a record of the log says.</summary>
    public void Recall(in LogRecord record)
    {
        if (record.Kind == RecordKind.Peers && PeersRecord.TryParse(record.Body, out var peers))
        {
            IsRepeat(peers.Origin, peers.Route, 0, peers.Done);
            for (var i = 0; i < peers.Received.Length; i++)
                Add(peers.Origin, peers.Route, peers.Received[i]);
        }
        else if (record.Kind == RecordKind.Chunk && ChunkRecord.TryParse(record.Body, out var chunk) && chunk.Number != 0)
        {
            IsRepeat(chunk.Origin, chunk.Route, chunk.Number, chunk.Done);
            Add(chunk.Origin, chunk.Route, chunk.Number);
        }
    }

    /// <summary>States everything at the start of a segment.</summary>
    public void State(LogWriter log)
    {
        foreach (var peer in _peers.Values)
        {
            var route = Encoding.UTF8.GetBytes(peer.Route);
            var numbers = peer.Above.ToArray();
            var head = new byte[PeersRecord.HeadBytes(route.Length, numbers.Length)];
            var length = PeersRecord.WriteHead(head, peer.Origin, route, peer.Done, numbers);
            log.TryAppend(RecordKind.Peers, head.AsSpan(0, length), [], out _);
        }
    }

    private Peer Find(Guid origin, ReadOnlySpan<byte> route)
    {
        var key = (origin, Encoding.UTF8.GetString(route));
        if (_peers.TryGetValue(key, out var peer))
            return peer;
        if (_peers.Count >= PeersMax)
        {
            var oldest = _peers.MinBy(static p => p.Value.Heard);
            _peers.Remove(oldest.Key);
            _report($"more than {PeersMax} senders: forgetting {oldest.Value.Origin}/{oldest.Value.Route}; a chunk it repeats would be stored twice");
        }

        return _peers[key] = new Peer(origin, key.Item2);
    }
}
