using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;

namespace Hikyaku.Transfer.Outputs;

/// <summary>Opens a stream to "host:port".</summary>
internal delegate ValueTask<Stream> Dial(string server, CancellationToken cancel);

/// <summary>What a server is good for at present.</summary>
internal enum Standing
{
    /// <summary>It takes a chunk now.</summary>
    Ready,

    /// <summary>Healthy, or so young that nobody knows, and has enough: worth waiting for.</summary>
    Busy,

    /// <summary>Out of reach, or it acknowledges nothing.</summary>
    Away,
}

/// <summary>
/// One server and the parts of chunks it has not acknowledged. Keeps one connection, makes it anew with growing pauses, and then sends
/// what is unacknowledged again, in order. It is healthy when acknowledgements come, not when its port is open.
/// </summary>
internal sealed class Receiver : IAsyncDisposable
{
    private const string NotYet = "nothing acknowledged yet";
    private const int InFlightMax = 16;
    private const int SliceBytes = 256 << 10;
    private const long BytesMax = 8 << 20;
    private static readonly TimeSpan DialTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AcknowledgeTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PauseMin = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan PauseMax = TimeSpan.FromSeconds(5);

    // A restart of the server, or the first connection, may take so long before others take its place.
    private static readonly TimeSpan GoneTime = TimeSpan.FromSeconds(1);

    // Whoever acknowledges nothing for so long gets nothing more until he does.
    private static readonly TimeSpan SuspectTime = TimeSpan.FromSeconds(3);

    private readonly string _name;
    private readonly Dial _dial;
    private readonly TimeProvider _time;
    private readonly Action _changed;
    private readonly Action<string> _report;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<ForwardPart> _inFlight = []; // in the order of their numbers, but for what was taken over from others
    private readonly WakeSignal _signal;
    private readonly Task _run;
    private ForwardPart? _sending; // its message is being read by the connection
    private bool _isSendingDone; // and it is acknowledged meanwhile: an answer to an earlier try
    private long _leftAt;
    private bool _isLeaving;
    private int _unsent; // index in _inFlight of the first chunk not sent over the present connection
    private long _inFlightBytes;
    private ForwardConnection? _connection;
    private bool _connected;
    private bool _proven; // this connection has brought an acknowledgement
    private int _takes;
    private string _problem = NotYet;
    private long _lines, _bytes, _repeats;
    private long _progress; // over this connection
    private long _flow; // the last acknowledgement, or the first thing sent that waits for one
    private long _changedAt; // when it became healthy, or ceased to be
    private DateTimeOffset _since;
    private bool _isGivenUp;

    public Receiver(TargetServer server, Dial dial, TimeProvider time, Action changed, Action<string> report)
    {
        Server = server;
        _name = server.Address;
        NameBytes = Encoding.UTF8.GetBytes(_name);
        NameHash = ServerHash.OfName(_name);
        _dial = dial;
        _time = time;
        _changed = changed;
        _report = report;
        _signal = new WakeSignal(time);
        NoteChange();
        _run = RunAsync();
        _run.CrashOnBug();
    }

    public byte[] NameBytes { get; }

    public ulong NameHash { get; }

    /// <summary>What the configuration or the list says of it. For the pump's own thread, as <see cref="IsLeaving"/>.</summary>
    public TargetServer Server { get; set; }

    /// <summary>It is not in the list any more, and keeps what is on its way.</summary>
    public bool IsLeaving
    {
        get => _isLeaving;
        set
        {
            if (value && !_isLeaving)
                _leftAt = _time.GetTimestamp();
            _isLeaving = value;
        }
    }

    /// <summary>Whether an acknowledgement showed that the server understands the compact form, and blocks in it.</summary>
    public bool TakesCompact => Volatile.Read(ref _takes) >= Ack.TakesBlocks;

    /// <summary>Whether an acknowledgement showed that the server takes zstd.</summary>
    public bool TakesZstd => Volatile.Read(ref _takes) >= Ack.TakesZstd;

    public int InFlight
    {
        get
        {
            lock (_lock)
                return _inFlight.Count;
        }
    }

    public Standing Standing
    {
        get
        {
            lock (_lock)
            {
                if (IsLeaving)
                    return Standing.Away;
                if (!_connected)
                    return _time.GetElapsedTime(_changedAt) < GoneTime ? Standing.Busy : Standing.Away;
                if (IsSuspect)
                    return Standing.Away;
                if (_inFlight.Count < (_proven ? InFlightMax : 1) && _inFlightBytes < BytesMax)
                    return Standing.Ready;
                // After a failure one chunk shows whether it is back, and nothing waits for that.
                return _proven || IsUntried ? Standing.Busy : Standing.Away;
            }
        }
    }

    private bool IsSuspect => _inFlight.Count > 0 && _time.GetElapsedTime(_flow) >= SuspectTime;

    private bool IsUntried => _problem == NotYet;

    /// <summary>True if something waits for an acknowledgement, and none has come for so long.</summary>
    public bool IsStuckFor(TimeSpan time)
    {
        lock (_lock)
            return _inFlight.Count > 0 && _time.GetElapsedTime(_flow) >= time;
    }

    /// <summary>True if it left the list so long ago.</summary>
    public bool HasLeftFor(TimeSpan time) => _isLeaving && _time.GetElapsedTime(_leftAt) >= time;

    /// <summary>What waits longest for an acknowledgement; null if nothing does.</summary>
    public ForwardPart? Oldest
    {
        get
        {
            lock (_lock)
                return _inFlight.Count > 0 ? _inFlight[0] : null;
        }
    }

    /// <summary>Gives up a part; false if it is acknowledged by now.</summary>
    public bool TryDrop(ForwardPart part, TimeSpan after)
    {
        lock (_lock)
        {
            var index = _inFlight.IndexOf(part);
            if (index < 0)
                return false;
            Remove(index);
            _proven = false;
            if (_problem.Length == 0 || IsUntried)
            {
                _problem = $"no acknowledgement for {after.TotalSeconds} s";
                NoteChange();
            }

            if (!_isGivenUp)
                _report($"{_name}: nothing acknowledged for {after.TotalSeconds} s; what was on its way to it goes to another server, and may arrive twice");
            _isGivenUp = true;
            return true;
        }
    }

    public void Send(ForwardPart part)
    {
        lock (_lock)
        {
            _inFlight.Add(part);
            _inFlightBytes += part.Message.Length;
            // It was made while the connection was another.
            if (!TakesZstd)
                SealForAnyone(part);
            if (_inFlight.Count == 1)
                _progress = _flow = _time.GetTimestamp();
        }

        _signal.Pulse();
    }

    public ReceiverStatus Status()
    {
        lock (_lock)
        {
            var problem = _problem.Length == 0 && IsSuspect ? "acknowledges nothing at present" : _problem;
            return new ReceiverStatus(_name, problem.Length == 0, problem, _lines, _bytes, _inFlight.Count, _repeats)
            {
                Since = _since, Weight = Server.Weight, IsStandby = Server.IsStandby, IsLeaving = IsLeaving,
            };
        }
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _run;
        _stop.Dispose();
        _signal.Dispose();
    }

    private async Task RunAsync()
    {
        // The constructor returns before the first dial.
        await Task.Yield();
        var pause = PauseMin;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await ServeConnectionAsync(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is IOException or ForwardException or System.Net.Sockets.SocketException or OperationCanceledException)
            {
                if (Disconnect(e is OperationCanceledException ? $"no answer within {DialTime.TotalSeconds} s" : Innermost(e).Message))
                    pause = PauseMin;
            }
            finally
            {
                EndSending();
            }

            try
            {
                await Task.Delay(pause, _time, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            pause = pause * 2 < PauseMax ? pause * 2 : PauseMax;
        }
    }

    // What streams say themselves is "see inner exception".
    private static Exception Innermost(Exception e)
    {
        while (e is IOException { InnerException: { } inner })
            e = inner;
        return e;
    }

    // Returns whether the connection had been of any use.
    private bool Disconnect(string reason)
    {
        lock (_lock)
        {
            var was = _proven;
            if (_problem.Length == 0 || IsUntried)
                NoteChange();
            _connected = _proven = false;
            _unsent = 0;
            if (was || !string.Equals(_problem, reason, StringComparison.Ordinal))
                _report($"{(reason.Contains(_name, StringComparison.Ordinal) ? "" : _name + ": ")}{reason}; lines wait in the log, trying again");
            _problem = reason;
            return was;
        }
    }

    private async Task ServeConnectionAsync(CancellationToken cancel)
    {
        Stream stream;
        using (var dialTime = new CancellationTokenSource(DialTime, _time))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, dialTime.Token))
            stream = await _dial(_name, either.Token);
        await using var connection = new ForwardConnection(stream, Acknowledge);
        Volatile.Write(ref _connection, connection);
        PulseWhenClosed(connection);
        lock (_lock)
        {
            _connected = true;
            _takes = 0;
            foreach (var part in _inFlight)
                SealForAnyone(part);
            _progress = _time.GetTimestamp();
            _repeats += _inFlight.Count;
        }

        _changed();
        while (!connection.Closed.IsCompleted)
        {
            while (TakeUnsent(out var message))
            {
                await SendAsync(connection, message, cancel);
                EndSending();
            }

            await _signal.WaitAsync(AcknowledgeTime, cancel);
            if (Stalled())
                throw new IOException($"no acknowledgement for {AcknowledgeTime.TotalSeconds} s");
        }

        throw new IOException(await connection.Closed);
    }

    private void SealForAnyone(ForwardPart part)
    {
        _inFlightBytes -= part.Message.Length;
        part.SealForAnyone();
        _inFlightBytes += part.Message.Length;
    }

    private void NoteChange()
    {
        _changedAt = _time.GetTimestamp();
        _since = _time.GetUtcNow();
    }

    private void Remove(int index)
    {
        _inFlightBytes -= _inFlight[index].Message.Length;
        _inFlight.RemoveAt(index);
        if (index < _unsent)
            _unsent--;
    }

    private async void PulseWhenClosed(ForwardConnection connection)
    {
        await connection.Closed;
        _signal.Pulse();
    }

    // A peer that stops reading blocks the send for ever; waiting as long as for an acknowledgement, per slice, is enough.
    private async ValueTask SendAsync(ForwardConnection connection, ReadOnlyMemory<byte> message, CancellationToken cancel)
    {
        for (var left = message; !left.IsEmpty; left = left[Math.Min(left.Length, SliceBytes)..])
        {
            var sending = connection.SendAsync(left[..Math.Min(left.Length, SliceBytes)], cancel);
            if (sending.IsCompletedSuccessfully)
                continue;
            try
            {
                await sending.AsTask().WaitAsync(AcknowledgeTime, _time, cancel);
            }
            catch (TimeoutException e)
            {
                throw new IOException($"the server has not taken any bytes for {AcknowledgeTime.TotalSeconds} s", e);
            }

            lock (_lock)
                _progress = _time.GetTimestamp();
        }
    }

    private bool TakeUnsent(out ReadOnlyMemory<byte> message)
    {
        lock (_lock)
        {
            if (_unsent >= _inFlight.Count)
            {
                message = default;
                return false;
            }

            var part = _sending = _inFlight[_unsent++];
            part.MayHaveArrived = true;
            message = part.Message;
            return true;
        }
    }

    private void EndSending()
    {
        lock (_lock)
        {
            var part = _sending;
            _sending = null;
            if (!_isSendingDone)
                return;
            _isSendingDone = false;
            part!.Acknowledge();
        }

        _changed();
    }

    private bool Stalled()
    {
        lock (_lock)
            return _inFlight.Count > 0 && _time.GetElapsedTime(_progress) >= AcknowledgeTime;
    }

    private void Acknowledge(ReadOnlySpan<byte> id)
    {
        var connection = Volatile.Read(ref _connection);
        if (!ChunkId.TryRead(id, out var number, out var seat))
        {
            connection?.Close("the server acknowledges a chunk that is not ours");
            return;
        }

        lock (_lock)
        {
            Volatile.Write(ref _takes, connection?.PeerVersion ?? 0);
            var index = _inFlight.FindIndex(p => p.Number == number && p.Seat == seat);
            if (index < 0)
                return; // an answer to an earlier try of the same chunk
            var part = _inFlight[index];
            Remove(index);
            _lines += part.Lines;
            _bytes += part.Bytes;
            _progress = _flow = _time.GetTimestamp();
            if (_problem.Length > 0)
            {
                if (!_proven && !IsUntried)
                    _report($"{_name}: takes lines again");
                NoteChange();
            }

            _proven = true;
            _isGivenUp = false;
            _problem = "";
            // Who is done with it may fill its buffer anew.
            if (part == _sending)
                _isSendingDone = true;
            else
                part.Acknowledge();
        }

        _changed();
    }
}
