using Hikyaku.Log;
using Hikyaku.Transfer.Servers;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// One log to every server of a list: a pump for each, so that a slow one holds back nobody. A server that comes gets what the log
/// still holds, from its oldest line on. One that left a list which may change keeps its position for <see cref="LeaveTime"/>, in case it
/// comes back.
/// </summary>
internal sealed class Broadcast
{
    /// <summary>How long the position of a server that left is kept, and with it the lines it has not got.</summary>
    public static readonly TimeSpan LeaveTime = TimeSpan.FromHours(1);

    private static readonly TimeSpan TendTime = TimeSpan.FromSeconds(1);

    private readonly string _name;
    private readonly string _directory;
    private readonly bool _isChanging;
    private readonly ServerList _list;
    private readonly Func<TargetServer, CancellationToken, Task> _keep;
    private readonly Action<string> _forget;
    private readonly Disk _disk;
    private readonly TimeProvider _time;
    private readonly Action<string> _report;
    private readonly WakeSignal _signal;
    private readonly Dictionary<string, (Task Task, CancellationTokenSource Stop)> _pumps = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _left = new(StringComparer.Ordinal);

    /// <param name="name">Of the output; the pumps are named after it and their server.</param>
    /// <param name="directory">Where the cursors are.</param>
    /// <param name="isChanging">Whether servers may leave while this lives.</param>
    /// <param name="list">Of the route.</param>
    /// <param name="keep">Carries the log to a server until cancelled.</param>
    /// <param name="forget">A pump of that name is not wanted any more.</param>
    /// <param name="disk">Of the cursors.</param>
    /// <param name="time">Of this machine.</param>
    /// <param name="report">Takes what people should know.</param>
    public Broadcast(string name, string directory, bool isChanging, ServerList list, Func<TargetServer, CancellationToken, Task> keep, Action<string> forget,
        Disk disk, TimeProvider time, Action<string> report)
    {
        (_name, _directory, _isChanging, _list, _keep, _forget, _disk, _time, _report) = (name, directory, isChanging, list, keep, forget, disk, time, report);
        _signal = new WakeSignal(time);
    }

    /// <summary>The cursor that stands for servers which are not known yet: expected, like that of a pump.</summary>
    public static string GateName(string name) => name + "@";

    public static string PumpName(string name, string server) => $"{name}@{server}";

    public async Task RunAsync(CancellationToken cancel)
    {
        await Task.Yield();
        _list.Add(_signal.Pulse);
        try
        {
            while (true)
            {
                var servers = _list.Current;
                foreach (var server in servers)
                    Start(server, cancel);
                foreach (var address in _pumps.Keys.Where(a => !servers.Any(s => string.Equals(s.Address, a, StringComparison.Ordinal))).ToArray())
                    await StopAsync(address);
                foreach (var (task, _) in _pumps.Values)
                {
                    if (task.IsCompleted)
                        await task;
                }

                TendPositions(servers);
                await _signal.WaitAsync(TendTime, cancel);
            }
        }
        finally
        {
            _list.Remove(_signal.Pulse);
            foreach (var address in _pumps.Keys.ToArray())
                await StopAsync(address);
            _signal.Dispose();
        }
    }

    private void Start(TargetServer server, CancellationToken cancel)
    {
        _left.Remove(server.Address);
        if (_pumps.ContainsKey(server.Address))
            return;
        var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        _pumps.Add(server.Address, (_keep(server, stop.Token), stop));
    }

    private async Task StopAsync(string address)
    {
        _pumps.Remove(address, out var pump);
        var isGone = !pump.Stop.IsCancellationRequested;
        pump.Stop.Cancel();
        try
        {
            await pump.Task;
        }
        catch (OperationCanceledException)
        {
            // As it was told.
        }

        pump.Stop.Dispose();
        if (isGone)
            _forget(PumpName(_name, address));
    }

    // The log keeps what any cursor file needs, and everything while one it expects by name is missing. It cannot expect servers that it
    // does not know; so it expects the gate, which moves once each of them has a file of its own, and never beyond all of those.
    private void TendPositions(IReadOnlyList<TargetServer> servers)
    {
        try
        {
            var highest = 0UL;
            var isComplete = servers.Count > 0 && _list.IsComplete;
            foreach (var server in servers)
            {
                if (Cursor.TryRead(FileOf(server.Address), out var position, _disk))
                    highest = Math.Max(highest, position);
                else
                    isComplete = false;
            }

            var gate = Path.Combine(_directory, GateName(_name) + ".cursor");
            if (isComplete && (!Cursor.TryRead(gate, out var before, _disk) || before < highest))
                Cursor.Write(gate, highest, _disk);
            if (_isChanging && isComplete)
                LetGo(servers);
        }
        catch (IOException)
        {
            // The log keeps more than it must until the next look, in a second.
        }
    }

    private void LetGo(IReadOnlyList<TargetServer> servers)
    {
        var start = GateName(_name);
        foreach (var file in _disk.List(_directory))
        {
            var pump = Path.GetFileNameWithoutExtension(file);
            if (!file.EndsWith(".cursor", StringComparison.Ordinal) || !pump.StartsWith(start, StringComparison.Ordinal) || pump.Length == start.Length)
                continue;
            var address = pump[start.Length..];
            if (servers.Any(s => string.Equals(s.Address, address, StringComparison.Ordinal)))
                continue;
            if (_left.TryAdd(address, _time.GetTimestamp()))
                _report($"{_name}: {address} is not in the list any more; its position is kept for {LeaveTime.TotalHours} h in case it comes back, and with it the lines it has not got");
            if (_time.GetElapsedTime(_left[address]) < LeaveTime)
                continue;
            // The directory of a log is the one thing of which files are deleted; here it is that of the cursors.
            var cursors = _disk.Log(_directory);
            cursors.Delete(pump + ".journal");
            cursors.Delete(pump + ".cursor");
            _left.Remove(address);
            _report($"{_name}: {address} did not come back within {LeaveTime.TotalHours} h; what it has not got is not kept for it any more");
        }
    }

    private string FileOf(string address) => Path.Combine(_directory, PumpName(_name, address) + ".cursor");
}
