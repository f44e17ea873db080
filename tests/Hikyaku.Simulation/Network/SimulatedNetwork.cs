using Hikyaku.Forward;

namespace Hikyaku.Simulation;

/// <summary>
/// The network between the machines. Bytes come late, in pieces of other sizes than they were sent, and in order; a link that is
/// down holds everything back or breaks every connection over it.
/// </summary>
internal sealed class SimulatedNetwork(Scheduler scheduler)
{
    private readonly Dictionary<string, SimulatedListener> _listeners = new(StringComparer.Ordinal);
    private readonly HashSet<(string, string)> _silent = [];
    private readonly HashSet<(string, string)> _refused = [];
    private readonly List<SimulatedConnection> _connections = [];

    public Scheduler Scheduler => scheduler;

    /// <summary>The longest a segment is under way, in ticks.</summary>
    public int DelayMax { get; set; } = 20_000;

    /// <summary>The network as a process of that machine sees it.</summary>
    public Network Of(string machine, SimulatedProcess process) => new ProcessNetwork(this, machine, process);

    /// <summary>Nothing passes between the two, and nobody is told.</summary>
    public void Silence(string a, string b) => _silent.Add(Link(a, b));

    /// <summary>Connections between the two break, and new ones are refused.</summary>
    public void Cut(string a, string b)
    {
        _refused.Add(Link(a, b));
        foreach (var connection in _connections.Where(c => Link(c.Client, c.Server) == Link(a, b)).ToArray())
            connection.Break();
    }

    public void Mend(string a, string b)
    {
        _silent.Remove(Link(a, b));
        _refused.Remove(Link(a, b));
        foreach (var connection in _connections.ToArray())
            connection.Go();
    }

    public void MendAll()
    {
        foreach (var (a, b) in _silent.Concat(_refused).ToArray())
            Mend(a, b);
    }

    public bool IsSilent(string a, string b) => _silent.Contains(Link(a, b));

    /// <summary>The machine is gone without a word: who talks to it hears of that only when he sends and it is back, or after long.</summary>
    public void PowerCut(string machine)
    {
        foreach (var connection in _connections.Where(c => c.Client == machine || c.Server == machine).ToArray())
            connection.Vanish(machine);
    }

    public void Forget(SimulatedConnection connection) => _connections.Remove(connection);

    private static (string, string) Link(string a, string b) => string.CompareOrdinal(a, b) < 0 ? (a, b) : (b, a);

    private async ValueTask<Stream> DialAsync(string machine, SimulatedProcess process, ForwardAddress address, CancellationToken cancel)
    {
        if (process.DiesAtThisCall())
            throw new KilledException();
        await DelayAsync(process, cancel);
        while (_silent.Contains(Link(machine, address.Host)))
            await DelayAsync(process, cancel, TimeSpan.FromMilliseconds(200));
        if (_refused.Contains(Link(machine, address.Host)) || !_listeners.TryGetValue(address.Host, out var listener) || !listener.Process.IsAlive)
            throw new ForwardException($"cannot connect to {address}: connection refused");
        var connection = new SimulatedConnection(this, machine, process, address.Host, listener.Process);
        _connections.Add(connection);
        listener.Accept(connection.ServerEnd, machine);
        return connection.ClientEnd;
    }

    private async Task DelayAsync(SimulatedProcess process, CancellationToken cancel, TimeSpan? time = null)
    {
        var done = new TaskCompletionSource();
        scheduler.After(time ?? TimeSpan.FromTicks(scheduler.Dice.Next(DelayMax)), process, () => done.TrySetResult());
        await using (cancel.UnsafeRegister(_ => done.TrySetCanceled(cancel), null))
            await done.Task;
    }

    private sealed class ProcessNetwork(SimulatedNetwork network, string machine, SimulatedProcess process) : Network
    {
        public override ValueTask<Stream> DialAsync(ForwardAddress address, CancellationToken cancellation) =>
            network.DialAsync(machine, process, address, cancellation);

        public override Listener Listen(ForwardAddress address, Action<string> report)
        {
            if (process.DiesAtThisCall())
                throw new KilledException();
            if (network._listeners.TryGetValue(machine, out var other) && other.Process.IsAlive && !other.IsClosed)
                throw new ForwardException($"cannot listen on {address}: the port is in use");
            return network._listeners[machine] = new SimulatedListener(process);
        }
    }
}

/// <summary>The one port of a machine.</summary>
internal sealed class SimulatedListener(SimulatedProcess process) : Listener
{
    private readonly List<(Stream Stream, string Peer)> _queue = [];
    private readonly List<Task> _serving = [];
    private ForwardServer? _server;
    private CancellationToken _cancel;

    public SimulatedProcess Process => process;
    public bool IsClosed { get; private set; }
    public override int Connections => _serving.Count(static t => !t.IsCompleted);

    public void Accept(Stream stream, string peer)
    {
        // As long as the process does not run, the kernel keeps them.
        process.Scheduler.Add(0, process, _ =>
        {
            _queue.Add((stream, peer));
            Serve();
        }, null);
    }

    public override async Task RunAsync(ForwardServer server, CancellationToken cancellation)
    {
        (_server, _cancel) = (server, cancellation);
        Serve();
        var stopped = new TaskCompletionSource();
        await using (cancellation.UnsafeRegister(_ => stopped.TrySetResult(), null))
            await stopped.Task;
        Dispose();
        await Task.WhenAll(_serving);
    }

    public override void Dispose() => IsClosed = true;

    private void Serve()
    {
        if (_server is null)
            return;
        foreach (var (stream, peer) in _queue)
        {
            if (IsClosed)
                stream.Dispose();
            else
                _serving.Add(_server.ServeAsync(stream, peer, _cancel));
        }

        _queue.Clear();
    }
}
