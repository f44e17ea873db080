using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Outputs;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Transfer.Delivery;

/// <summary>What a pump is made of. <see cref="SyncJournal"/>: the log promises that nothing arrives twice after a power loss either.</summary>
internal sealed record PumpSettings(string Name, string Route, string Log, string OutputName, string CursorDirectory, bool SyncJournal)
{
    public string Cursor => Path.Combine(CursorDirectory, Name + ".cursor");

    /// <summary>The log promises that what is committed outlives a loss of power.</summary>
    public bool OutlivesPower { get; init; }

    /// <summary>Lines that are older when their chunk is made are not carried.</summary>
    public TimeSpan? Expire { get; init; }

    /// <summary>A chunk waits for so many lines, and so long.</summary>
    public BatchSettings? Batch { get; init; }

    public string Journal => Path.Combine(CursorDirectory, Name + ".journal");
}

/// <summary>
/// Carries one log to one output: reads records, makes chunks, journals each before it is delivered, and moves the cursor in
/// the order of the log. An idle line leaves at once, and lines that come slowly within <see cref="GatherTime"/>. A chunk costs
/// many times what a line costs, on both hosts, so a stream that fills chunks gathers for <see cref="StreamTime"/>.
/// </summary>
internal sealed class Pump : IAsyncDisposable
{
    private static readonly TimeSpan GatherTime = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan StreamTime = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan GatherTimeInFlight = TimeSpan.FromMilliseconds(10);

    // Of a chunk that gathered for a millisecond: more than some ten thousand lines a second make a stream.
    private const int StreamLines = 32;
    private const int IdleRecords = 4096;

    private static readonly TimeSpan CursorTime = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(1);

    // Chunks delivered behind one that is not: while its server is away, so much may go to others, and is remembered.
    private const int OpenMax = 4096;
    private const long TailBytesMax = 64 << 20;

    // Behind so many of these each further chunk waits until it is full, or for a second: idle lines would soon make as many as may be.
    private const int OpenFew = 64;

    private readonly PumpSettings _settings;
    private readonly LineReader _reader;
    private readonly Output _output;
    private readonly LogTail _tail;
    private readonly Disk _disk;
    private readonly WakeSignal _signal;
    private readonly TimeProvider _time;
    private readonly Action<string> _report;
    private readonly Journal _journal;
    private readonly List<Chunk> _inFlight = [];
    private readonly ByteBuffer _note = new();
    private readonly string _cursorPath;
    private long _lastDelivery;
    private long _lastLines;
    private long _lastRead;
    private long? _firstLine; // when the chunk that gathers got its first
    private long? _oldest; // the bound of one that gathered and is begun anew
    private bool _isStanding;
    private long _lastCursor;
    private ulong _cursor;
    private ulong _number;
    private LogPosition _lastTo; // where the next chunk begins
    private int _inFlightCount;
    private long _inFlightLines;
    private long _unreadable;
    private string _journalProblem = "";
    private string _cursorProblem = "";

    public Pump(PumpSettings settings, LineReader reader, Journal journal, Output output, LogTail tail, Disk disk, TimeProvider time, Action<string> report)
    {
        _settings = settings;
        _reader = reader;
        _output = output;
        _tail = tail;
        _disk = disk;
        _time = time;
        _report = report;
        _signal = new WakeSignal(time);
        _journal = journal;
        _cursorPath = settings.Cursor;
        output.Changed = _signal.Pulse;
        tail.Add(_signal);
    }

    public string Name => _settings.Name;

    public string Log => _settings.Log;

    public async Task RunAsync(CancellationToken cancel)
    {
        await RepeatAsync(cancel);
        _output.EndRepeating();
        PublishCursor(force: true);
        _reader.NotePassed();
        Chunk? chunk = null;
        while (!cancel.IsCancellationRequested)
        {
            Settle();
            PublishCursor(force: false);
            _output.Tend();
            if (TryMove())
            {
                BeginAnew(ref chunk);
                continue;
            }

            chunk ??= MayOpen() ? _output.TryBegin([]) : null;
            if (chunk is null)
            {
                await _signal.WaitAsync(IdleTime, cancel);
                continue;
            }

            var read = Read(chunk);
            var armed = !read && Quiet(chunk);
            if (armed)
            {
                // Arm first, look second: a record appended after this look pulses the signal.
                _tail.Arm();
                read = Read(chunk);
            }

            if (read)
                _lastRead = _time.GetTimestamp();

            if (ReadyIn(chunk) is var wait && wait <= TimeSpan.Zero)
            {
                if (TryDeliver(chunk))
                {
                    // Where nothing is let through, nothing else would make way for others.
                    if (chunk.Lines == 0)
                        await Task.Yield();
                    chunk = null;
                }
                else if (chunk.MustBeginAnew)
                {
                    BeginAnew(ref chunk);
                }
                else
                {
                    await _signal.WaitAsync(IdleTime, cancel);
                }
            }
            else if (chunk.IsFull || !read)
            {
                await _signal.WaitAsync(WaitFor(chunk, wait, armed), cancel);
            }
            else
            {
                await Task.Yield();
            }
        }
    }

    public PumpStatus Status() => new()
    {
        Name = _settings.Name,
        Route = _settings.Route,
        Log = _settings.Log,
        Output = _settings.OutputName,
        Cursor = Volatile.Read(ref _cursor),
        LinesOut = _journal.Base.Lines,
        BytesOut = _journal.Base.Bytes,
        ChunksInFlight = Volatile.Read(ref _inFlightCount),
        LinesInFlight = Volatile.Read(ref _inFlightLines),
        Servers = _output.Servers(),
        Losses = Losses(),
        DroppedByFilter = _output.DroppedByFilter,
        Sources = _reader.Sources(),
        Receivers = _output.Status(),
    };

    public async ValueTask DisposeAsync()
    {
        _tail.Remove(_signal);
        try
        {
            await _output.DisposeAsync();
            Settle();
            PublishCursor(force: true);
        }
        finally
        {
            _journal.Dispose();
            _reader.Dispose();
            _signal.Dispose();
        }
    }

    private Dictionary<string, long> Losses()
    {
        var losses = new Dictionary<string, long>(StringComparer.Ordinal);
        void Add(string cause, long count)
        {
            if (count > 0)
                losses[cause] = count;
        }

        Add("dropped before they were read", _reader.Missed);
        Add("damaged regions of the log", _reader.DamagedRegions);
        Add("malformed entries", _reader.Malformed);
        Add("bytes removed, cut or unreadable below the mount before they were carried", _reader.Gone);
        Add("chunks no longer in the log", _unreadable);
        Add("lines that may have arrived twice, their server having been gone for too long (nothing lost)", _output.Doubtful);
        Add("lines carried in pieces, being longer than 4 MiB (nothing lost)", _reader.Cut);
        return losses;
    }

    // The same lines once more, for the same bound: they were not too old when they were read first.
    private void BeginAnew(ref Chunk? chunk)
    {
        if (chunk is not null)
        {
            if (chunk.Lines > 0)
                _oldest = chunk.Oldest;
            _output.Free(chunk);
        }

        chunk = null;
        _reader.Seek(_lastTo, _journal.Tails);
    }

    private int OpenBehind => _journal.Open.Count - _inFlight.Count;

    private bool MayOpen()
    {
        var open = _journal.Open.Count;
        if (open <= OpenFew || (open < OpenMax && _journal.TailBytes <= TailBytesMax))
        {
            if (open < OpenMax / 2)
                _isStanding = false;
            return true;
        }

        if (!_isStanding)
        {
            var problems = string.Join("; ", _output.Status().Where(static r => !r.Healthy).Select(static r => $"{r.Name}: {r.Problem}"));
            _report($"{Name}: chunk {_journal.Lowest} is not acknowledged, and {open - 1} behind it are as much as can be remembered; no more lines leave until it is{(problems.Length > 0 ? $" ({problems})" : "")}");
        }

        _isStanding = true;
        return false;
    }

    // After a restart: what was journaled and not acknowledged goes out again, same lines, same number, same place.
    private async Task RepeatAsync(CancellationToken cancel)
    {
        var state = _journal.Base;
        _reader.Seek(state.Position, state.Tails);
        _number = state.NextNumber;
        _lastTo = state.Position;
        foreach (var old in _journal.Open.ToArray())
        {
            _number = old.Number + 1;
            // Nothing is left to repeat: a loss of power has taken its records.
            if (old.From == old.To)
            {
                _journal.Acknowledge(old.Number);
                continue;
            }

            if (old.Acknowledged)
            {
                _lastTo = old.To;
                continue;
            }

            if (_reader.Position < old.From)
                _reader.Seek(old.From, _journal.TailsBefore(old.Number));
            Chunk? chunk;
            while ((chunk = _output.TryBegin(old.Note)) is null)
            {
                await _signal.WaitAsync(IdleTime, cancel);
                Settle();
            }

            Refill(chunk, old.Number, old.From, old.To, old.Lines, old.Oldest, cancel);

            _lastTo = old.To;
            Start(chunk);
        }

        if (_reader.Position < _lastTo)
            _reader.Seek(_lastTo, _journal.Tails);
    }

    // The same lines as when it was journaled.
    private void Refill(Chunk chunk, ulong number, LogPosition from, LogPosition to, long lines, long oldest, CancellationToken cancel)
    {
        chunk.Number = number;
        chunk.From = from;
        chunk.To = to;
        chunk.Oldest = oldest;
        // The journal's range decides, however full the chunk is by today's bounds.
        while (_reader.Position < to && _reader.Fill(chunk, to))
            cancel.ThrowIfCancellationRequested();

        if (_reader.Position == to && chunk.Lines == lines)
            return;
        _unreadable++;
        _report($"{_settings.Name}: chunk {number} (records {from} to {to}) held {lines} lines and now holds {chunk.Lines}: the log or the rules changed; sending what there is");
    }

    // What cannot be delivered where it should goes elsewhere, under its number: read again, for it may need another form there.
    private bool TryMove()
    {
        _note.Clear();
        if (_output.TryMove(_note) is not { } chunk)
            return false;
        var again = _output.TryBegin(_note.Written)!;
        _reader.Seek(chunk.From, _journal.TailsBefore(chunk.Number));
        Refill(again, chunk.Number, chunk.From, chunk.To, chunk.Lines, chunk.Oldest, CancellationToken.None);
        _journal.Amend(chunk.Number, _note.Written);
        _output.Move(chunk, again, _journal.Lowest);
        _output.Free(again);
        return true;
    }

    // Time until this chunk should leave: zero is now.
    private TimeSpan ReadyIn(Chunk chunk)
    {
        if (chunk.IsFull)
            return TimeSpan.Zero;
        if (chunk.Lines == 0)
            return Idle() ? TimeSpan.Zero : IdleTime;
        if (_settings.Batch is { } batch && chunk.Lines < batch.Lines)
            return batch.Time - _time.GetElapsedTime(_firstLine!.Value);
        var since = _time.GetElapsedTime(_lastDelivery);
        if (OpenBehind > OpenFew)
            return IdleTime - since;
        return (_inFlight.Count > 0 ? GatherTimeInFlight : _lastLines >= StreamLines ? StreamTime : GatherTime) - since;
    }

    private bool Read(Chunk chunk)
    {
        var isEmpty = chunk.Lines == 0;
        // As long as no line is in it the bound may rise: what it has kept out so far is older still.
        if (isEmpty && _oldest is { } oldest)
            chunk.Oldest = oldest;
        else if (isEmpty && _settings.Expire is { } expire)
            chunk.Oldest = Math.Max(chunk.Oldest, (_time.GetUtcNow() - expire - DateTimeOffset.UnixEpoch).Ticks * 100);
        var read = _reader.Fill(chunk, null);
        if (isEmpty && chunk.Lines > 0)
            _firstLine ??= _time.GetTimestamp();
        return read;
    }

    private TimeSpan WaitFor(Chunk chunk, TimeSpan wait, bool armed)
    {
        if (chunk.Lines == 0)
            return armed ? IdleWait() : wait < GatherTime ? wait : GatherTime;
        if (_settings.Batch is null)
            return wait;
        // Whoever waits long must be told of further lines, and has a cursor to move meanwhile.
        return armed ? TimeSpan.FromTicks(Math.Min(wait.Ticks, IdleWait().Ticks)) : TimeSpan.FromTicks(Math.Min(wait.Ticks, GatherTime.Ticks));
    }

    // Nothing came for a while. Only then the writer is asked to ring, for each ring costs it a system call; till then the clock wakes us.
    private bool Quiet(Chunk chunk) => (chunk.Lines == 0 || _settings.Batch is not null) && !chunk.IsFull && _time.GetElapsedTime(_lastRead) >= GatherTime;

    // Records that complete no line move the cursor too, but only now and then, or the log could never be retired.
    private bool Idle() => _reader.Position > _lastTo
        && ((OpenBehind <= OpenFew ? _reader.Position.Record > _lastTo.Record + IdleRecords : _time.GetElapsedTime(_lastDelivery) > IdleTime) || (_inFlight.Count == 0 && _time.GetElapsedTime(_lastDelivery) > IdleTime));

    private TimeSpan IdleWait() => _cursor < _journal.Base.Position.Record ? CursorTime
        : _inFlight.Count == 0 && _reader.Position == _lastTo ? TimeSpan.FromHours(1) : IdleTime;

    private bool TryDeliver(Chunk chunk)
    {
        _note.Clear();
        if (!chunk.TryWriteNote(_note))
            return false;
        chunk.Number = _number;
        chunk.From = _lastTo;
        chunk.To = _reader.Position;
        chunk.Tails.Clear();
        _reader.SaveTails(chunk.Tails);
        try
        {
            _journal.Append(chunk, _note.Written);
        }
        catch (IOException e)
        {
            Blame(ref _journalProblem, e);
            return false;
        }

        _journalProblem = "";
        (_firstLine, _oldest) = (null, null);
        _number++;
        Start(chunk);
        return true;
    }

    private void Start(Chunk chunk)
    {
        _inFlight.Add(chunk);
        _lastTo = chunk.To;
        _lastDelivery = _time.GetTimestamp();
        _lastLines = chunk.Lines;
        Volatile.Write(ref _inFlightCount, _inFlight.Count);
        Volatile.Write(ref _inFlightLines, _inFlightLines + chunk.Lines);
        if (chunk.Lines == 0)
            chunk.Done = true;
        else
            _output.Deliver(chunk, _journal.Lowest);
    }

    // Acknowledgements may come in any order; the journal moves the cursor in one. What is done needs no memory any more.
    private void Settle()
    {
        for (var i = 0; i < _inFlight.Count;)
        {
            var chunk = _inFlight[i];
            if (!chunk.Done)
            {
                i++;
                continue;
            }

            _inFlight.RemoveAt(i);
            _journal.Acknowledge(chunk.Number);
            Volatile.Write(ref _inFlightCount, _inFlight.Count);
            Volatile.Write(ref _inFlightLines, _inFlightLines - chunk.Lines);
            _output.Free(chunk);
        }
    }

    private void PublishCursor(bool force)
    {
        // Also the very first position is written, at the start: on a disk that is full by then there is no room for a new file.
        var position = _journal.Base.Position.Record;
        if (position <= _cursor || (!force && _time.GetElapsedTime(_lastCursor) < CursorTime))
            return;
        _lastCursor = _time.GetTimestamp();
        try
        {
            _journal.Flush(_settings.OutlivesPower);
            Cursor.Write(_cursorPath, position, _disk);
            // By its name alone a server is known that leaves the list and comes back.
            if (_cursor == 0)
                _disk.SyncDirectory(_settings.CursorDirectory);
        }
        catch (IOException e)
        {
            Blame(ref _cursorProblem, e);
            return;
        }

        _cursorProblem = "";
        Volatile.Write(ref _cursor, position);
    }

    // Once for each change of mind, not once a try.
    private void Blame(ref string problem, Exception e)
    {
        if (!string.Equals(problem, e.Message, StringComparison.Ordinal))
            _report($"{_cursorPath}: cannot be kept up to date: {e.Message.TrimEnd('.')}; lines wait in the log, trying again");
        problem = e.Message;
    }
}
