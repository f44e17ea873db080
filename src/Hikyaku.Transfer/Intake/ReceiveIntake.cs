using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;

namespace Hikyaku.Transfer.Intake;

/// <summary>
/// Stores what other hosts send: one chunk, one record with its number in it, so that content and memory of it are never
/// apart. The answer that lets the sender forget is given when the chunk is as durable as the commit level says.
/// </summary>
internal sealed class ReceiveIntake : IDisposable
{
    /// <summary>Entries of a foreign message go into records of about this many bytes, so that later stages work in pieces too.</summary>
    private const int ForeignRecordBytes = 1 << 20;

    // Longer names are nobody's, and would be kept.
    private const int RouteBytesMax = 255, TagBytesMax = 1024, CommonBytesMax = 1 << 20;
    private static readonly TimeSpan RetireTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FullRetryTime = TimeSpan.FromMilliseconds(50);

    // The sender gives up after 30 s; until then it is spared a new connection.
    private static readonly TimeSpan FullPatience = TimeSpan.FromSeconds(20);

    private readonly ReceiveSettings _settings;
    private readonly LogWriter _log;
    private readonly LogTail _tail;
    private readonly TimeProvider _time;
    private readonly PeerTable _peers;
    private readonly ForeignTable _foreign;
    private readonly PeerReports _troubles;
    private readonly Lock _append = new();
    private readonly GroupCommit _commit;
    private readonly EntryScratch _scratch = new();
    private readonly Action<string> _report;
    private byte[] _head = new byte[1024];
    private long _chunks, _lines, _bytes, _repeats, _refused, _malformed, _dropped;
    private bool _full;
    private bool _lagging; // the last commit failed, so more than an interval is at risk
    private ulong _stated; // the segment in which the last full statement of the peers begins
    private ulong _statedFor; // the segment it was made for

    public ReceiveIntake(ReceiveSettings settings, ILogStorage storage, LogOptions options, LogTail tail, TimeProvider time, Action<string> report)
    {
        _settings = settings;
        _tail = tail;
        _time = time;
        _report = report;
        _peers = new PeerTable(report);
        _troubles = new PeerReports(report, time);
        // What the peers are recalled from must not be retired before they are stated again.
        _log = LogWriter.Open(storage, options with { Floor = () => Volatile.Read(ref _stated) });
        _foreign = new ForeignTable(ForeignTable.MessagesFor(Math.Min(options.SegmentBytes, _log.QuotaBytes / 4)));
        Recall(storage);
        _log.SegmentOpened = State;
        if (settings.Commit == CommitLevel.Strict)
            _log.Commit();
        _commit = new GroupCommit(_log);
    }

    /// <summary>Every record below this sequence is on the disk.</summary>
    public ulong Committed => _log.CommittedSequence;

    /// <summary>True once the message is stored and may be acknowledged; false if it cannot be. Waits a while if the log is full.</summary>
    public async ValueTask<bool> ReceiveAsync(ForwardMessage message, ForwardPeer peer, CancellationToken cancel)
    {
        if (message.Route.Length > RouteBytesMax || message.Tag.Length > TagBytesMax || message.Common.Length > CommonBytesMax)
        {
            Interlocked.Increment(ref _refused);
            _troubles.Tell(peer.Address, $"refused a message with a name of more than {TagBytesMax} bytes or common fields of more than {CommonBytesMax}");
            return false;
        }

        var id = IdOf(message, peer);
        if (id != Guid.Empty)
            Meet(id, peer);
        var start = _time.GetTimestamp();
        var stored = 0;
        while ((stored = Store(message, id, peer, stored)) < message.Entries.Length)
        {
            if (!_full)
                _report($"receive log: full ({_log.Bytes} of {_log.QuotaBytes} bytes); {peer.Address} waits until lines have left it, or the quota is raised");
            _full = true;
            // Without an id there is nobody who would send it again.
            if (!message.Chunk.IsEmpty && _time.GetElapsedTime(start) > FullPatience)
            {
                Interlocked.Increment(ref _refused);
                return false;
            }

            await Task.Delay(FullRetryTime, _time, cancel);
        }

        if (_settings.Commit == CommitLevel.Strict || _lagging)
        {
            await _commit.CommitAsync(cancel);
            _tail.Pulse();
        }

        if (id != Guid.Empty)
        {
            lock (_append)
                _foreign.Acked(id, peer.Connection);
        }

        return true;
    }

    /// <summary>Commits, retires and reports until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        var period = _settings.Commit == CommitLevel.Interval ? _settings.CommitInterval : RetireTime;
        using var timer = new PeriodicTimer(period, _time);
        var lastRetire = _time.GetTimestamp();
        while (await timer.WaitForNextTickAsync(cancel))
        {
            if (_settings.Commit == CommitLevel.Interval && _log.CommittedSequence < _log.NextSequence)
                await TryCommitAsync(cancel);
            if (_time.GetElapsedTime(lastRetire) < RetireTime)
                continue;
            lastRetire = _time.GetTimestamp();
            Retire();
        }
    }

    private async Task TryCommitAsync(CancellationToken cancel)
    {
        try
        {
            await _commit.CommitAsync(cancel);
            _lagging = false;
        }
        catch (LogException e)
        {
            if (!_lagging)
                _report($"receive log: {e.Message}; until it can be committed again, every acknowledgement waits for that");
            _lagging = true;
        }
    }

    public IntakeStatus Status(int connections)
    {
        var losses = new Dictionary<string, long>(StringComparer.Ordinal);
        if (_malformed > 0)
            losses["malformed entries"] = _malformed;
        if (_dropped > 0)
            losses["dropped to stay within the quota"] = _dropped;
        return new IntakeStatus
        {
            Listen = _settings.Listen,
            Connections = connections,
            Chunks = _chunks,
            Lines = _lines,
            Bytes = _bytes,
            Repeats = _repeats,
            Refused = _refused,
            Full = _full,
            LogBytes = _log.Bytes,
            QuotaBytes = _log.QuotaBytes,
            Losses = losses,
        };
    }

    public void Dispose()
    {
        lock (_append)
        {
            try
            {
                _log.Commit();
            }
            catch (LogException e)
            {
                _report($"receive log: {e.Message}");
            }

            _log.Dispose();
        }
    }

    // From the newest segment in which the peers were stated in full; from the oldest if there is none.
    private void Recall(ILogStorage storage)
    {
        var starts = LogReader.SegmentStarts(storage);
        if (starts.Count == 0)
            return;
        _stated = starts[0];
        for (var i = starts.Count - 1; i >= 0; i--)
        {
            if (FindMark(storage, starts[i]) is not { } begun)
                continue;
            _stated = begun;
            break;
        }

        using var reader = new LogReader(storage, _stated) { Report = _report };
        while (reader.TryRead(out var record))
        {
            _peers.Recall(record);
            _foreign.Recall(record);
        }
    }

    // Where the last full statement that ends in this segment begins; null if none does.
    private static ulong? FindMark(ILogStorage storage, ulong start)
    {
        ulong? found = null;
        using var reader = new LogReader(storage, start);
        while (reader.TryRead(out var record) && reader.SegmentStart == start)
        {
            if (StatementMark.Is(record, out var begun))
                found = begun;
        }

        return found;
    }

    // Called by the log for each segment it opens, with room for as much as the last time; and again if that was not enough.
    private void State(LogWriter log)
    {
        var begun = log.SegmentStart;
        if (!_peers.TryState(log) || !_foreign.TryState(log) || !StatementMark.TryWrite(log, begun))
            return;
        _statedFor = log.SegmentStart;
        Volatile.Write(ref _stated, begun);
    }

    // What tells a repetition of a foreign sender from news; empty if nothing does. The address is part of it because some make
    // the id of the content alone, and the entries because some count their ids from 1 after each start.
    private Guid IdOf(ForwardMessage message, ForwardPeer peer)
    {
        if (IsNumbered(message) || message.Chunk.IsEmpty)
            return Guid.Empty;
        var print = new Fingerprint(_log.Identity);
        print.Add(Encoding.UTF8.GetBytes(peer.Address));
        print.Add(message.Tag.Span);
        print.Add(message.Chunk.Span);
        print.Add(message.Entries.Span);
        return print.Value();
    }

    private void Meet(Guid id, ForwardPeer peer)
    {
        lock (_append)
        {
            if (_foreign.IsAckedOn(id, peer.Connection) || _settings.StoresRepeats)
                _foreign.Forget(id);
            else if (_foreign.IsWhole(id))
                _repeats++;
        }
    }

    // Returns how many bytes of the entries are stored by now: all, or where to go on when there is room.
    private int Store(ForwardMessage message, Guid id, ForwardPeer peer, int from)
    {
        int stored;
        lock (_append)
        {
            stored = IsNumbered(message) ? StoreOnce(message, peer) : StoreForeign(message, id, peer, from);
            if (stored == message.Entries.Length && _statedFor != _log.SegmentStart)
                State(_log);
        }

        _tail.Pulse();
        return stored;
    }

    private static bool IsNumbered(ForwardMessage message) => message.HasOrigin && message.Number != 0;

    private int StoreOnce(ForwardMessage message, ForwardPeer peer)
    {
        if (_peers.IsRepeat(message.Origin, message.Route.Span, message.Number, message.Done) && !_settings.StoresRepeats)
        {
            _repeats++;
            return message.Entries.Length;
        }

        // As in a record of a log: not what the peer says.
        var lines = new EntryReader(message.Entries.Span, message.Common.Span, _scratch).CountLines();
        if (!TryAppend(message, message.Origin, message.Done, message.Entries.Span, lines, peer))
            return 0;
        _peers.Add(message.Origin, message.Route.Span, message.Number);
        return message.Entries.Length;
    }

    internal void Retire()
    {
        try
        {
            _log.Retire();
        }
        catch (LogException e)
        {
            _report($"receive log: {e.Message}; nothing is retired meanwhile");
        }

        foreach (var (_, records, bytes) in _log.TakeDropped())
        {
            _dropped += records;
            _report($"receive log: {records} lines ({bytes} bytes) were dropped unsent to stay within the quota of {_log.QuotaBytes} bytes (when_full: drop_oldest)");
        }
    }

    // In several records if it is large. Of one that is repeated the parts that are there are not stored again, whether they came
    // over a connection that broke, before this process was killed, or come over another connection at this moment.
    private int StoreForeign(ForwardMessage message, Guid id, ForwardPeer peer, int from)
    {
        var all = message.Entries.Span;
        var start = Math.Max(from, _foreign.StoredOf(id, all.Length));
        var entries = new EntryReader(all[start..], message.Common.Span, _scratch);
        var begin = start;
        var broken = 0L;
        var lines = 0L;
        while (start < all.Length)
        {
            var more = entries.TryRead(out var entry);
            if (more)
                lines += entry.Lines;
            var end = more ? begin + entries.Position : all.Length;
            if (more && end - start < ForeignRecordBytes && end < all.Length)
                continue;
            var isLast = end == all.Length;
            var part = id == Guid.Empty ? 0 : ForeignTable.Part(start, isLast);
            if (!TryAppend(message, id, part, all[start..end], lines, peer))
                return start;
            if (id != Guid.Empty)
                _foreign.Add(id, part, end - start);
            start = end;
            lines = 0;
            _malformed += entries.Broken - broken;
            broken = entries.Broken;
        }

        if (broken > 0)
            _troubles.Tell(peer.Address, $"{broken} entries of a chunk cannot be read; the others are stored");
        else
            _troubles.Well(peer.Address);

        return start;
    }

    private bool TryAppend(ForwardMessage message, Guid origin, ulong done, ReadOnlySpan<byte> entries, long lines, ForwardPeer peer)
    {
        var size = ChunkRecord.HeadBytes(message.Route.Length, message.Tag.Length, peer.Address.Length, message.Common.Length);
        if (_head.Length < size)
            _head = new byte[size * 2];
        Span<byte> address = stackalloc byte[256];
        var addressLength = Encoding.UTF8.GetBytes(peer.Address.AsSpan(0, Math.Min(64, peer.Address.Length)), address);
        var number = IsNumbered(message) ? message.Number : 0;
        var length = ChunkRecord.WriteHead(_head, origin, number, done, UnixNanoseconds(), (uint)lines,
            message.Route.Span, message.Tag.Span, address[..addressLength], message.Common.Span);
        if (!_log.TryAppend(RecordKind.Chunk, _head.AsSpan(0, length), entries, out _))
            return false;
        _full = false;
        _chunks++;
        _lines += lines;
        _bytes += entries.Length;
        return true;
    }

    private long UnixNanoseconds() => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
}
