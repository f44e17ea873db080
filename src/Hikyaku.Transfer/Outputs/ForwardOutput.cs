using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Servers;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Sends chunks to one or several of its servers, chosen anew for each chunk among those that are healthy. A chunk that was sent
/// stays with its servers until they acknowledge it, over reconnections and restarts, so that none arrives twice; unless a server
/// left the list, or the configuration says after which time it is given up.
/// </summary>
internal sealed class ForwardOutput : Output
{
    // A server that left the list has so long to acknowledge what it was sent.
    private static readonly TimeSpan LeaveTime = TimeSpan.FromMinutes(1);

    private readonly ForwardOutputSettings _settings;
    private readonly ServerList _list;
    private readonly ServerList _named; // what people are told of: where a broadcast has its servers from
    private readonly Dial _dial;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Action<string> _report;
    private readonly Lock _lock = new(); // for who asks for the status
    private readonly List<Receiver> _receivers = []; // those that are leaving too
    private readonly List<Receiver> _members = []; // in the order in which they are tried, standbys last
    private readonly List<Receiver> _ready = [];
    private readonly List<Receiver> _chosen = [];
    private readonly List<Task> _closing = [];
    private readonly List<byte[]> _seatRoutes = [];
    private readonly Stack<ForwardChunk> _spare = new();
    private readonly Compressor? _gzip;
    private readonly Compressor? _zstd;
    private IReadOnlyList<TargetServer>? _servers;
    private ForwardPart? _moving;
    private long _doubtful;
    private string _shortage = "";

    public ForwardOutput(ForwardOutputSettings settings, ServerList list, ServerList named, Guid origin, string route, string tag, Dial dial, TimeProvider time, Random random, Action<string> report)
    {
        _settings = settings;
        _list = list;
        _named = named;
        Origin = origin;
        Route = Encoding.UTF8.GetBytes(route);
        Tag = Encoding.UTF8.GetBytes(tag);
        _dial = dial;
        _time = time;
        _random = random;
        _report = report;
        // Not all servers may take zstd.
        _gzip = Compressor.Make(settings.Compress == Compression.None ? Compression.None : Compression.Gzip);
        _zstd = settings.Compress == Compression.Zstd && Compressor.IsAvailable(Compression.Zstd) ? Compressor.Make(Compression.Zstd) : null;
        Refresh();
        list.Add(NoteListChanged);
    }

    public Guid Origin { get; }
    public byte[] Route { get; }
    public byte[] Tag { get; }

    public override long Doubtful => Volatile.Read(ref _doubtful);

    public override Chunk? TryBegin(ReadOnlySpan<byte> note)
    {
        var chunk = _spare.TryPop(out var spare) ? spare : new ForwardChunk(this);
        if (!note.IsEmpty)
            chunk.Begin(note);
        if (!note.IsEmpty && !chunk.Parts.IsEmpty)
            return chunk;
        Refresh();
        if (TryChoose(_chosen))
        {
            chunk.Begin(_chosen, _settings.Deliver == DeliverMode.Hash ? _settings.Hash : null);
            return chunk;
        }

        _spare.Push(chunk);
        return null;
    }

    public override void Deliver(Chunk chunk, ulong lowest)
    {
        var message = (ForwardChunk)chunk;
        message.Seal(lowest);
        // The last acknowledgement may come before the loop ends, and nobody takes the chunk back before this returns.
        foreach (var part in message.Parts)
        {
            if (part.Lines > 0)
                part.Receiver.Send(part);
        }
    }

    public override void Tend()
    {
        Refresh();
        for (var i = _receivers.Count - 1; i >= 0; i--)
        {
            if (_receivers[i] is { IsLeaving: true, InFlight: 0 } gone)
                Remove(gone);
        }

        _closing.RemoveAll(static t => t.IsCompletedSuccessfully);
    }

    public override Chunk? TryMove(ByteBuffer note)
    {
        foreach (var receiver in _receivers)
        {
            if ((_settings.FailoverAfter ?? (receiver.HasLeftFor(LeaveTime) ? LeaveTime : null)) is not { } patience)
                continue;
            if (!receiver.IsStuckFor(patience) || receiver.Oldest is not { } part || FindOther(part) is not { } other || !receiver.TryDrop(part, patience))
                continue;
            if (part.MayHaveArrived)
                Volatile.Write(ref _doubtful, _doubtful + part.Lines);
            _moving = part;
            part.Chunk.WriteNote(note, part, other);
            return part.Chunk;
        }

        return null;
    }

    public override void Move(Chunk chunk, Chunk again, ulong lowest)
    {
        var message = (ForwardChunk)chunk;
        var part = message.Take((ForwardChunk)again, _moving!);
        _moving = null;
        part.Seal(message, lowest);
        part.Receiver.Send(part);
    }

    public override void Free(Chunk chunk)
    {
        if (chunk is ForwardChunk { IsWorthKeeping: true } spare)
            _spare.Push(spare);
    }

    public override IReadOnlyList<ReceiverStatus> Status()
    {
        lock (_lock)
            return [.. _receivers.Select(static r => r.Status())];
    }

    public override ServersStatus? Servers() =>
        new(_settings.Deliver switch { DeliverMode.Hash => "hash", DeliverMode.Broadcast => "broadcast", DeliverMode.Failover => "failover", _ => "random" }, _named.Source, string.Join("; ", new[] { _named.Problem, Volatile.Read(ref _shortage) }.Where(static p => p.Length > 0)));

    public override async ValueTask DisposeAsync()
    {
        _list.Remove(NoteListChanged);
        foreach (var receiver in _receivers)
            await receiver.DisposeAsync();
        await Task.WhenAll(_closing);
        _gzip?.Dispose();
        _zstd?.Dispose();
    }

    /// <summary>The best that the configuration asks for and the server takes; null: none. For the pump's own thread.</summary>
    public Compressor? CompressorFor(Receiver receiver) => _zstd is not null && receiver.TakesZstd ? _zstd : _gzip;

    /// <summary>Under which name a part travels: one that went elsewhere under another, for where it is there may be a part of the same number.</summary>
    public byte[] RouteOf(int seat)
    {
        while (seat >= _seatRoutes.Count)
            _seatRoutes.Add([.. Route, .. Encoding.UTF8.GetBytes(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"@{_seatRoutes.Count}"))]);
        return seat < 0 ? Route : _seatRoutes[seat];
    }

    /// <summary>The server of that name; one that is not in the list keeps what was sent to it all the same.</summary>
    public Receiver Find(ReadOnlySpan<byte> name)
    {
        foreach (var receiver in _receivers)
        {
            if (name.SequenceEqual(receiver.NameBytes))
                return receiver;
        }

        var found = Add(new TargetServer(Encoding.UTF8.GetString(name)));
        found.IsLeaving = true;
        return found;
    }

    /// <summary>Whether a chunk that is begun now has somewhere to go.</summary>
    public bool CanBegin() => TryChoose(_chosen);

    // False: there is none at present, or one that is worth waiting for.
    private bool TryChoose(List<Receiver> chosen)
    {
        chosen.Clear();
        for (var first = 0; first < _members.Count;)
        {
            _ready.Clear();
            var busy = 0;
            var next = first;
            for (; next < _members.Count && IsSameRank(first, next); next++)
            {
                var standing = _members[next].Standing;
                if (standing == Standing.Ready)
                    _ready.Add(_members[next]);
                else if (standing == Standing.Busy)
                    busy++;
            }

            first = next;
            if (_settings.Deliver == DeliverMode.Hash)
            {
                if (busy == 0 && _ready.Count > 0)
                    chosen.AddRange(_ready);
                if (busy + _ready.Count > 0)
                    return busy == 0;
                continue;
            }

            while (_ready.Count > 0 && chosen.Count < _settings.Copies)
                chosen.Add(Draw());
            if (chosen.Count == _settings.Copies)
                return true;
            if (busy > 0)
                return false;
        }

        return false;
    }

    // Those of one rank share the lines; the next rank gets none while one of these is healthy.
    private bool IsSameRank(int a, int b) => a == b || (_settings.Deliver != DeliverMode.Failover && _members[a].Server.IsStandby == _members[b].Server.IsStandby);

    // Of two picked by chance the second only if the first would have more in flight even then, each beside its weight.
    private Receiver Draw()
    {
        var first = Pick(-1);
        var best = first;
        if (_ready.Count > 1)
        {
            var second = Pick(first);
            if ((long)_ready[first].InFlight * _ready[second].Server.Weight > (_ready[second].InFlight + 1L) * _ready[first].Server.Weight)
                best = second;
        }

        var receiver = _ready[best];
        _ready.RemoveAt(best);
        return receiver;
    }

    private int Pick(int without)
    {
        var total = 0L;
        for (var i = 0; i < _ready.Count; i++)
            total += i == without ? 0 : _ready[i].Server.Weight;
        var point = _random.NextInt64(total);
        for (var i = 0; ; i++)
        {
            if (i != without && (point -= _ready[i].Server.Weight) < 0)
                return i;
        }
    }

    // Copies stay at different servers; the parts of a divided chunk need not. As with new chunks, the next rank gets none while one of these is healthy.
    private Receiver? FindOther(ForwardPart part)
    {
        for (var first = 0; first < _members.Count;)
        {
            _ready.Clear();
            var busy = 0;
            var next = first;
            for (; next < _members.Count && IsSameRank(first, next); next++)
            {
                var candidate = _members[next];
                var isTaken = candidate == part.Receiver;
                foreach (var other in part.Chunk.Parts)
                    isTaken |= !part.Chunk.IsDivided && other.Receiver == candidate;
                if (isTaken)
                    continue;
                var standing = candidate.Standing;
                if (standing == Standing.Ready)
                    _ready.Add(candidate);
                else if (standing == Standing.Busy)
                    busy++;
            }

            if (_ready.Count > 0)
                return part.Chunk.IsDivided ? HighestFor(part) : Draw();
            if (busy > 0)
                return null;
            first = next;
        }

        return null;
    }

    // All that one server had goes to one other; which one differs from server to server.
    private Receiver HighestFor(ForwardPart part) => _ready.MaxBy(r => ServerHash.Draw(r.NameHash, r.Server.Weight, part.Home.NameHash))!;

    private void NoteListChanged() => Changed();

    private void Refresh()
    {
        var servers = _list.Current;
        if (ReferenceEquals(servers, _servers))
            return;
        _servers = servers;
        _members.Clear();
        foreach (var receiver in _receivers)
            receiver.IsLeaving = true;
        foreach (var server in servers)
        {
            var receiver = _receivers.Find(r => string.Equals(r.Server.Address, server.Address, StringComparison.Ordinal)) ?? Add(server);
            receiver.Server = server;
            receiver.IsLeaving = false;
            if (!_members.Contains(receiver))
                _members.Add(receiver);
        }

        // The order of a failover is that of the list.
        var sorted = _members.OrderBy(static r => r.Server.IsStandby).ToArray();
        _members.Clear();
        _members.AddRange(sorted);

        var shortage = _members.Count > 0 && _members.Count < _settings.Copies ? $"{_settings.Copies} copies are asked for, and the list has {_members.Count} servers; lines wait for more" : "";
        if (shortage.Length > 0 && !string.Equals(shortage, _shortage, StringComparison.Ordinal))
            _report($"route {Encoding.UTF8.GetString(Route)}: {shortage}");
        Volatile.Write(ref _shortage, shortage);
    }

    private Receiver Add(TargetServer server)
    {
        var receiver = new Receiver(server, _dial, _time, () => Changed(), _report);
        lock (_lock)
            _receivers.Add(receiver);
        return receiver;
    }

    private void Remove(Receiver receiver)
    {
        lock (_lock)
            _receivers.Remove(receiver);
        _closing.Add(receiver.DisposeAsync().AsTask());
    }
}
