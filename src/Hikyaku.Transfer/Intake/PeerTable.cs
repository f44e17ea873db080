using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Transfer.Intake;

/// <summary>
/// What has been received from whom: per origin and route the lowest number not acknowledged to the sender, and the numbers
/// received above it. Kept in memory, and stated in each segment of the log.
/// </summary>
internal sealed class PeerTable
{
    /// <summary>Senders remembered at most; beyond it the one heard of least recently is forgotten, and reported.</summary>
    public const int PeersMax = 65_536;

    /// <summary>Numbers remembered of one sender; more than any of ours has open. Beyond it the lowest count as received.</summary>
    public const int AboveMax = 16_384;

    private sealed class Peer(Guid origin, byte[] route)
    {
        public Guid Origin { get; } = origin;
        public byte[] Route { get; } = route;
        public ulong Done { get; set; }
        public SortedSet<ulong> Above { get; } = [];
        public long Heard { get; set; }
    }

    private readonly Dictionary<(Guid, string), Peer> _peers = [];
    private readonly Action<string> _report;
    private long _clock;
    private Peer? _last;

    public PeerTable(Action<string> report) => _report = report;

    /// <summary>True if the chunk is stored already. The sender's <paramref name="done"/> lets what it will never repeat be forgotten.</summary>
    public bool IsRepeat(Guid origin, ReadOnlySpan<byte> route, ulong number, ulong done)
    {
        var peer = Find(origin, route);
        peer.Heard = ++_clock;
        if (done > peer.Done)
        {
            peer.Done = done;
            while (peer.Above.Count > 0 && peer.Above.Min < done)
                peer.Above.Remove(peer.Above.Min);
        }

        return number < peer.Done || peer.Above.Contains(number);
    }

    public void Add(Guid origin, ReadOnlySpan<byte> route, ulong number)
    {
        var peer = Find(origin, route);
        peer.Above.Add(number);
        if (peer.Above.Count <= AboveMax)
            return;
        peer.Done = peer.Above.Min + 1;
        peer.Above.Remove(peer.Above.Min);
    }

    /// <summary>Takes up what a record of the log says.</summary>
    public void Recall(in LogRecord record)
    {
        if (record.Kind == RecordKind.Peers && PeersRecord.TryParse(record.Body, out var peers) && peers.Origin != Guid.Empty)
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

    /// <summary>States everything. False: there was no room.</summary>
    public bool TryState(LogWriter log)
    {
        var head = new byte[PeersRecord.HeadBytes(256, AboveMax)];
        foreach (var peer in _peers.Values)
        {
            var length = PeersRecord.WriteHead(head, peer.Origin, peer.Route, peer.Done, peer.Above.ToArray());
            if (!log.TryAppend(RecordKind.Peers, head.AsSpan(0, length), [], out _))
                return false;
        }

        return true;
    }

    private Peer Find(Guid origin, ReadOnlySpan<byte> route)
    {
        if (_last is { } last && last.Origin == origin && route.SequenceEqual(last.Route))
            return last;
        var key = (origin, Encoding.Latin1.GetString(route));
        if (!_peers.TryGetValue(key, out var peer))
        {
            if (_peers.Count >= PeersMax)
                ForgetOldest();
            _peers[key] = peer = new Peer(origin, route.ToArray());
        }

        return _last = peer;
    }

    private void ForgetOldest()
    {
        var oldest = _peers.MinBy(static p => p.Value.Heard);
        _peers.Remove(oldest.Key);
        _report($"more than {PeersMax} senders: forgetting {oldest.Value.Origin}/{oldest.Key.Item2}; a chunk it repeats would be stored twice");
    }
}
