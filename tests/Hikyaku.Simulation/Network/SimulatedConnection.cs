namespace Hikyaku.Simulation;

/// <summary>One connection: two pipes, one in each direction.</summary>
internal sealed class SimulatedConnection
{
    private readonly SimulatedNetwork _network;

    public SimulatedConnection(SimulatedNetwork network, string client, SimulatedProcess clientProcess, string server, SimulatedProcess serverProcess)
    {
        _network = network;
        (Client, Server) = (client, server);
        var up = new SimulatedPipe(network, this, clientProcess, serverProcess);
        var down = new SimulatedPipe(network, this, serverProcess, clientProcess);
        ClientEnd = new SimulatedStream(clientProcess, down, up);
        ServerEnd = new SimulatedStream(serverProcess, up, down);
    }

    public string Client { get; }
    public string Server { get; }
    public SimulatedStream ClientEnd { get; }
    public SimulatedStream ServerEnd { get; }
    public bool IsSilent => _network.IsSilent(Client, Server);

    /// <summary>A reset for both.</summary>
    public void Break()
    {
        ClientEnd.Reset();
        ServerEnd.Reset();
        _network.Forget(this);
    }

    /// <summary>One end is gone with its machine; the other learns it from a keepalive that nobody answers.</summary>
    public void Vanish(string machine)
    {
        var left = machine == Client ? ServerEnd : ClientEnd;
        left.LosePeer();
        _network.Scheduler.After(TimeSpan.FromSeconds(_network.Scheduler.Dice.Next(1, 90)), null, Break);
    }

    /// <summary>What was held back moves on.</summary>
    public void Go()
    {
        ClientEnd.Go();
        ServerEnd.Go();
    }
}

/// <summary>The bytes of one direction: sent, under way, and arrived.</summary>
internal sealed class SimulatedPipe
{
    private const int WindowBytes = 64 << 10;

    private readonly SimulatedNetwork _network;
    private readonly SimulatedConnection _connection;
    private readonly Queue<byte[]> _underWay = new();
    private readonly Queue<byte> _arrived = new();
    private TaskCompletionSource? _readable;
    private TaskCompletionSource? _writable;
    private int _bytes;
    private bool _isMoving;
    private bool _isEnding;
    private bool _isEnded;
    private bool _isReset;
    private bool _isLost;

    public SimulatedPipe(SimulatedNetwork network, SimulatedConnection connection, SimulatedProcess writer, SimulatedProcess reader)
    {
        (_network, _connection) = (network, connection);
        writer.Died += End;
        reader.Died += () =>
        {
            // A machine without power resets nothing.
            if (!_isLost)
                Reset();
        };
    }

    private Random Dice => _network.Scheduler.Dice;

    public async ValueTask<int> ReadAsync(Memory<byte> target, CancellationToken cancel)
    {
        while (_arrived.Count == 0)
        {
            ThrowIfReset();
            if (_isEnded)
                return 0;
            await WaitAsync(_readable = new TaskCompletionSource(), cancel);
        }

        ThrowIfReset();
        // A read may return less than there is.
        var count = Math.Min(target.Length, _arrived.Count);
        if (count > 1 && Dice.Next(4) == 0)
            count = Dice.Next(1, count);
        for (var i = 0; i < count; i++)
            target.Span[i] = _arrived.Dequeue();
        _bytes -= count;
        Wake(ref _writable);
        return count;
    }

    public async ValueTask WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancel)
    {
        while (!source.IsEmpty)
        {
            ThrowIfReset();
            if (_isEnding)
                throw new IOException("broken pipe");
            if (_bytes >= WindowBytes)
            {
                await WaitAsync(_writable = new TaskCompletionSource(), cancel);
                continue;
            }

            var count = Math.Min(source.Length, WindowBytes - _bytes);
            // Cut and joined as it likes.
            if (count > 1 && Dice.Next(3) == 0)
                count = Dice.Next(1, count);
            _underWay.Enqueue(source[..count].ToArray());
            _bytes += count;
            source = source[count..];
            Go();
        }
    }

    /// <summary>The writer closes: what was sent still arrives.</summary>
    public void End()
    {
        _isEnding = true;
        Go();
    }

    public void Reset()
    {
        _isReset = true;
        _underWay.Clear();
        Wake(ref _readable);
        Wake(ref _writable);
    }

    /// <summary>Nothing sent from now on arrives anywhere, and nothing more comes.</summary>
    public void Lose() => _isLost = true;

    public void Go()
    {
        if (_isMoving || _isReset || _isLost || (_underWay.Count == 0 && (!_isEnding || _isEnded)) || _connection.IsSilent)
            return;
        _isMoving = true;
        _network.Scheduler.After(TimeSpan.FromTicks(Dice.Next(_network.DelayMax)), null, () =>
        {
            _isMoving = false;
            if (_isReset || _isLost || _connection.IsSilent)
                return;
            for (var pieces = Dice.Next(1, 8); pieces > 0 && _underWay.TryDequeue(out var piece); pieces--)
            {
                foreach (var b in piece)
                    _arrived.Enqueue(b);
            }

            if (_underWay.Count == 0 && _isEnding)
                _isEnded = true;
            Wake(ref _readable);
            Go();
        });
    }

    private void ThrowIfReset()
    {
        if (_isReset)
            throw new IOException("connection reset by peer");
    }

    private static void Wake(ref TaskCompletionSource? waiting)
    {
        var woken = waiting;
        waiting = null;
        woken?.TrySetResult();
    }

    private static async Task WaitAsync(TaskCompletionSource waiting, CancellationToken cancel)
    {
        await using (cancel.UnsafeRegister(_ => waiting.TrySetCanceled(cancel), null))
            await waiting.Task;
    }
}

internal sealed class SimulatedStream(SimulatedProcess process, SimulatedPipe input, SimulatedPipe output) : Stream
{
    private bool _isClosed;

    public override bool CanRead => true;
    public override bool CanWrite => true;
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public void Reset()
    {
        input.Reset();
        output.Reset();
    }

    public void LosePeer()
    {
        input.Lose();
        output.Lose();
    }

    public void Go() => output.Go();

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Call();
        return input.ReadAsync(buffer, cancellationToken);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Call();
        return output.WriteAsync(buffer, cancellationToken);
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (_isClosed)
            return;
        _isClosed = true;
        // The other side reads what was sent; what it still sends is refused.
        output.End();
        input.Reset();
    }

    private void Call()
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        if (process.DiesAtThisCall())
            throw new KilledException();
    }
}
