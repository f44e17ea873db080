using System.Diagnostics;
using System.Text.Json;
using Hikyaku.EndToEnd.Stage;

namespace Hikyaku.EndToEnd.Chaos;

/// <summary>
/// What goes wrong, and when: drawn from a seed. Some of it lasts for a while and is taken back then; several things may be wrong
/// at a time.
/// </summary>
internal sealed class Faults(int seed, Network network, Host sender, Host[] others, SmallDisk[] disks)
{
    private const int SIGCONT = 18, SIGSTOP = 19;
    private const int LastingMax = 4;

    // A mount process that is killed six times in a minute before it serves is given up, and that is meant so.
    private const int EarlyKillsMax = 3;

    private readonly Random _random = new(seed);
    private readonly Host[] _hosts = [sender, .. others];
    private readonly List<(TimeSpan Due, string Subject, Action Undo)> _lasting = [];
    private readonly Queue<TimeSpan> _earlyKills = new();
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly List<string> _story = [];
    private TimeSpan _next = TimeSpan.FromSeconds(1);

    public int Kills { get; private set; }
    public int Stops { get; private set; }
    public int Cuts { get; private set; }
    public int Disturbances { get; private set; }
    public int Fills { get; private set; }

    /// <summary>What was done when.</summary>
    public string Story => string.Join('\n', _story);

    /// <summary>To be called again and again.</summary>
    public void Tick()
    {
        foreach (var fault in _lasting.Where(f => f.Due <= _watch.Elapsed).ToList())
            End(fault);
        if (_watch.Elapsed < _next)
            return;
        Draw();
        // Mostly one after the other; now and then a calm in which lines catch up.
        _next = _watch.Elapsed + TimeSpan.FromMilliseconds(_random.Next(12) is 0 ? _random.Next(3000, 6000) : _random.Next(1000));
    }

    /// <summary>Takes everything back that lasts.</summary>
    public void End()
    {
        foreach (var fault in _lasting.ToList())
            End(fault);
    }

    private void Draw()
    {
        var target = _hosts[_random.Next(_hosts.Length)];
        var choice = _random.Next(20);
        switch (choice)
        {
            case < 4: Kill(sender.Run.Child(Street.MountChild), "the sender's mount process", isMount: true); break;
            case < 6: Kill(sender.Run.Child(Street.TransferChild), "the sender's transfer process", isMount: false); break;
            case < 10:
                var victim = others[_random.Next(others.Length)];
                Note($"kill {victim.Name}");
                victim.Kill();
                Kills++;
                break;
            case < 14: Stop(target); break;
            case < 16: Last($"cable of {target.Name}", "cut", () => { network.Cut(target.Name); return true; }, () => network.Restore(target.Name), () => Cuts++); break;
            case < 17: Last($"cable of {target.Name}", "silence", () => { network.Silence(target.Name); return true; }, () => network.Unsilence(target.Name), () => Cuts++); break;
            case < 18: Last($"quality of {target.Name}", "disturb", () => { network.Disturb(target.Name); return true; }, () => network.Undisturb(target.Name), () => Disturbances++); break;
            default:
                var disk = disks[_random.Next(disks.Length)];
                Last(disk.Path, "fill", disk.Fill, disk.Free, () => Fills++);
                break;
        }
    }

    private void Kill(int pid, string what, bool isMount)
    {
        if (pid is 0)
            return;
        if (isMount && !Serves(pid))
        {
            while (_earlyKills.TryPeek(out var oldest) && _watch.Elapsed - oldest > TimeSpan.FromSeconds(70))
                _earlyKills.Dequeue();
            if (_earlyKills.Count >= EarlyKillsMax)
                return;
            _earlyKills.Enqueue(_watch.Elapsed);
        }
        Note($"kill {what} ({pid})");
        _ = Libc.Kill(pid, Libc.SIGKILL);
        Kills++;
    }

    private void Stop(Host host)
    {
        var pid = host == sender ? _random.Next(3) switch { 0 => sender.Run.Child(Street.MountChild), 1 => sender.Run.Child(Street.TransferChild), _ => sender.Run.Pid } : host.Run.Pid;
        if (pid is 0)
            return;
        Last($"process {pid}", $"stop {host.Name}", () => Libc.Kill(pid, SIGSTOP) is 0, () =>
        {
            // Killed meanwhile, the number may be somebody else's by now.
            if (ProcessTable.CommandLine(pid).Contains(host.Name + "/state", StringComparison.Ordinal) || pid == host.Run.Pid)
                _ = Libc.Kill(pid, SIGCONT);
        }, () => Stops++);
    }

    private void Last(string subject, string what, Func<bool> begin, Action undo, Action count)
    {
        if (_lasting.Count >= LastingMax || _lasting.Exists(f => f.Subject == subject))
            return;
        var time = TimeSpan.FromMilliseconds(_random.Next(500, 3000));
        Note($"{what}: {subject}, {time.TotalSeconds:F1} s");
        if (!begin())
        {
            Note("in vain");
            return;
        }
        count();
        _lasting.Add((_watch.Elapsed + time, subject, undo));
    }

    private void End((TimeSpan Due, string Subject, Action Undo) fault)
    {
        fault.Undo();
        _lasting.Remove(fault);
    }

    // Whether this process has written down that it took writes.
    private bool Serves(int pid)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllText(Path.Join(sender.State, "status/mount-logs.json")));
            return json.RootElement.GetProperty("process").GetInt32() == pid && json.RootElement.GetProperty("mount").GetProperty("writes").GetInt64() > 0;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return false;
        }
    }

    private void Note(string what) => _story.Add(FormattableString.Invariant($"{_watch.Elapsed.TotalSeconds,7:F2} {what}"));
}
