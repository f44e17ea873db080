using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;

namespace Hikyaku.Transfer.Intake;

/// <summary>
/// Stores what other hosts send: one chunk, one record with its number in it, so that content and memory of it are never
/// apart. The answer that lets the sender forget is given when the chunk is as durable as the commit level says.
/// </summary>
internal sealed class ReceiveIntake : IAsyncDisposable
{
    /// <summary>Entries of a foreign message go into records of about this many bytes, so that later stages work in pieces too.</summary>
    private const int ForeignRecordBytes = 1 << 20;
    private static readonly TimeSpan FullRetryTime = TimeSpan.FromMilliseconds(50);

    private readonly ReceiveSettings _settings;
    private readonly LogWriter _log;
    private readonly LogTail _tail;
    private readonly TimeProvider _time;
    private readonly PeerTable _peers;
    private readonly SemaphoreSlim _append = new(1, 1);
    private readonly GroupCommit _commit;
    private readonly EntryScratch _scratch = new();
    private readonly Action<string> _report;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _upkeep;
    private byte[] _head = new byte[1024];
    private long _chunks, _lines, _bytes, _repeats, _refused, _malformed, _dropped;
    private bool _full;

    public ReceiveIntake(ReceiveSettings settings, ILogStorage storage, LogOptions options, LogTail tail, TimeProvider time, Action<string> report)
    {
        _settings = settings;
        _tail = tail;
        _time = time;
        _report = report;
        _peers = new PeerTable(report);
        _log = LogWriter.Open(storage, options);
        Recall(storage);
        _log.SegmentOpened = _peers.State;
        _commit = new GroupCommit(_log);
        _upkeep = UpkeepAsync(_stop.Token);
    }

    /// <summary>True once the chunk is stored and may be acknowledged. Waits while the log is full.</summary>
    public async ValueTask<bool> ReceiveAsync(ForwardMessage message, string peer, CancellationToken cancel)
    {
        var reported = false;
        while (!await TryStoreAsync(message, peer, cancel))
        {
            _full = true;
            if (!reported)
            {
                _refused++;
                _report($"receive log: full ({_log.Bytes} of {_log.QuotaBytes} bytes); {peer} waits until lines have left it, or the quota is raised");
            }

            reported = true;
            await Task.Delay(FullRetryTime, _time, cancel);
        }

        _full = false;
        _tail.Pulse();
        if (_settings.Commit == CommitLevel.Strict)
            await _commit.CommitAsync(cancel);
        return true;
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

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _upkeep;
        await _append.WaitAsync();
        _log.Commit();
        _log.Dispose();
        _stop.Dispose();
        _append.Dispose();
    }

    private void Recall(ILogStorage storage)
    {
        using var reader = new LogReader(storage, _log.SegmentStart) { Report = _report };
        while (reader.TryRead(out var record))
            _peers.Recall(record);
    }

    private async ValueTask<bool> TryStoreAsync(ForwardMessage message, string peer, CancellationToken cancel)
    {
        await _append.WaitAsync(cancel);
        try
        {
            return message.HasOrigin && message.Number != 0 ? TryStoreOnce(message, peer) : TryStoreForeign(message, peer);
        }
        finally
        {
            _append.Release();
        }
    }

    private bool TryStoreOnce(ForwardMessage message, string peer)
    {
        if (_peers.IsRepeat(message.Origin, message.Route.Span, message.Number, message.Done))
        {
            _repeats++;
            return true;
        }

        if (!TryAppend(message, message.Entries.Span, peer))
            return false;
        _peers.Add(message.Origin, message.Route.Span, message.Number);
        return true;
    }

    // Nothing tells a foreign sender's repetition from news, so a message may as well be several records.
    private bool TryStoreForeign(ForwardMessage message, string peer)
    {
        var all = message.Entries.Span;
        var entries = new EntryReader(all, message.Common.Span, _scratch);
        var start = 0;
        while (entries.TryRead(out _))
        {
            if (entries.Position - start < ForeignRecordBytes)
                continue;
            if (!TryAppend(message, all[start..entries.Position], peer))
                return false;
            start = entries.Position;
        }

        if (entries.Broken > 0)
        {
            _malformed += entries.Broken;
            _report($"{peer}: {entries.Broken} entries of a chunk cannot be read; the others are stored");
        }

        return start == all.Length || TryAppend(message, all[start..], peer);
    }

    private bool TryAppend(ForwardMessage message, ReadOnlySpan<byte> entries, string peer)
    {
        var count = EntryReader.Count(entries);
        var size = ChunkRecord.HeadBytes(message.Route.Length, message.Tag.Length, peer.Length, message.Common.Length);
        if (_head.Length < size)
            _head = new byte[size * 2];
        Span<byte> address = stackalloc byte[256];
        var addressLength = System.Text.Encoding.UTF8.GetBytes(peer.AsSpan(0, Math.Min(64, peer.Length)), address);
        var length = ChunkRecord.WriteHead(_head, message.Origin, message.Number, message.Done, UnixNanoseconds(), (uint)count,
            message.Route.Span, message.Tag.Span, address[..addressLength], message.Common.Span);
        if (!_log.TryAppend(RecordKind.Chunk, _head.AsSpan(0, length), entries, out _))
            return false;
        _chunks++;
        _lines += count;
        _bytes += entries.Length;
        return true;
    }

    private long UnixNanoseconds() => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;

    private async Task UpkeepAsync(CancellationToken cancel)
    {
        var period = _settings.Commit == CommitLevel.Interval ? _settings.CommitInterval : TimeSpan.FromSeconds(1);
        using var timer = new PeriodicTimer(period, _time);
        var lastRetire = _time.GetTimestamp();
        try
        {
            while (await timer.WaitForNextTickAsync(cancel))
            {
                if (_settings.Commit == CommitLevel.Interval && _log.CommittedSequence < _log.NextSequence)
                    await _commit.CommitAsync(cancel);
                if (_time.GetElapsedTime(lastRetire) < TimeSpan.FromSeconds(1))
                    continue;
                lastRetire = _time.GetTimestamp();
                _log.Retire();
                foreach (var (_, records, bytes) in _log.TakeDropped())
                {
                    _dropped += records;
                    _report($"receive log: {records} records ({bytes} bytes) were dropped unsent to stay within the quota of {_log.QuotaBytes} bytes (when_full: drop_oldest)");
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The end of this intake.
        }
    }
}
