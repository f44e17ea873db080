using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;

namespace Hikyaku.Transfer.Outputs;

/// <summary>Opens a stream to "host:port".</summary>
internal delegate ValueTask<Stream> Dial(string server, CancellationToken cancel);

/// <summary>
/// One server and the chunks it has not acknowledged. Keeps one connection, makes it anew with growing pauses, and then sends
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

    private readonly string _name;
    private readonly Dial _dial;
    private readonly TimeProvider _time;
    private readonly Action _changed;
    private readonly Action<string> _report;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<ForwardChunk> _inFlight = []; // in the order of their numbers
    private readonly WakeSignal _signal;
    private readonly Task _run;
    private int _unsent; // index in _inFlight of the first chunk not sent over the present connection
    private long _inFlightBytes;
    private ForwardConnection? _connection;
    private bool _connected;
    private bool _proven; // this connection has brought an acknowledgement
    private int _takes;
    private string _problem = NotYet;
    private long _lines, _bytes, _repeats;
    private long _progress;

    public Receiver(string name, Dial dial, TimeProvider time, Action changed, Action<string> report)
    {
        _name = name;
        NameBytes = Encoding.UTF8.GetBytes(name);
        _dial = dial;
        _time = time;
        _changed = changed;
        _report = report;
        _signal = new WakeSignal(time);
        _run = RunAsync();
        _run.CrashOnBug();
    }

    public byte[] NameBytes { get; }

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

    public bool HasRoom
    {
        get
        {
            lock (_lock)
                return _connected && _inFlight.Count < (_proven ? InFlightMax : 1) && _inFlightBytes < BytesMax;
        }
    }

    public void Send(ForwardChunk chunk)
    {
        lock (_lock)
        {
            _inFlight.Add(chunk);
            _inFlightBytes += chunk.Message.Length;
            // It was made while the connection was another.
            if (!TakesZstd)
                SealForAnyone(chunk);
            if (_inFlight.Count == 1)
                _progress = _time.GetTimestamp();
        }

        _signal.Pulse();
    }

    public ReceiverStatus Status()
    {
        lock (_lock)
            return new ReceiverStatus(_name, _problem.Length == 0, _problem, _lines, _bytes, _inFlight.Count, _repeats);
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
                if (Disconnect(e is OperationCanceledException ? $"no answer within {DialTime.TotalSeconds} s" : e.Message))
                    pause = PauseMin;
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

    // Returns whether the connection had been of any use.
    private bool Disconnect(string reason)
    {
        lock (_lock)
        {
            var was = _proven;
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
            foreach (var chunk in _inFlight)
                SealForAnyone(chunk);
            _progress = _time.GetTimestamp();
            _repeats += _inFlight.Count;
        }

        _changed();
        while (!connection.Closed.IsCompleted)
        {
            while (TakeUnsent(out var message))
                await SendAsync(connection, message, cancel);
            await _signal.WaitAsync(AcknowledgeTime, cancel);
            if (Stalled())
                throw new IOException($"no acknowledgement for {AcknowledgeTime.TotalSeconds} s");
        }

        throw new IOException(await connection.Closed);
    }

    private void SealForAnyone(ForwardChunk chunk)
    {
        _inFlightBytes -= chunk.Message.Length;
        chunk.SealForAnyone();
        _inFlightBytes += chunk.Message.Length;
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

            message = _inFlight[_unsent++].Message;
            return true;
        }
    }

    private bool Stalled()
    {
        lock (_lock)
            return _inFlight.Count > 0 && _time.GetElapsedTime(_progress) >= AcknowledgeTime;
    }

    private void Acknowledge(ReadOnlySpan<byte> id)
    {
        var connection = Volatile.Read(ref _connection);
        if (!ChunkId.TryRead(id, out var number))
        {
            connection?.Close("the server acknowledges a chunk that is not ours");
            return;
        }

        lock (_lock)
        {
            Volatile.Write(ref _takes, connection?.PeerVersion ?? 0);
            var index = _inFlight.FindIndex(c => c.Number == number);
            if (index < 0)
                return; // an answer to an earlier try of the same chunk
            var chunk = _inFlight[index];
            _inFlight.RemoveAt(index);
            if (index < _unsent)
                _unsent--;
            _inFlightBytes -= chunk.Message.Length;
            _lines += chunk.Lines;
            _bytes += chunk.Bytes;
            _progress = _time.GetTimestamp();
            if (!_proven && _problem.Length > 0 && _problem != NotYet)
                _report($"{_name}: takes lines again");
            _proven = true;
            _problem = "";
            chunk.Done = true;
        }

        _changed();
    }
}
