namespace Hikyaku.Simulation;

/// <summary>What goes wrong, when, and for how long. Each seed has its own mixture: some kinds never happen, some all the time.</summary>
internal sealed class Faults
{
    private readonly Scheduler _scheduler;
    private readonly SimulatedNetwork _network;
    private readonly IReadOnlyList<Machine> _machines;
    private readonly Func<Machine, bool> _mayLosePower;
    private readonly Action<Machine> _reconfigure;
    private readonly Action<string> _say;
    private readonly List<(int Weight, Action Fault)> _kinds;
    private readonly int _meanMilliseconds;

    public Faults(Scheduler scheduler, SimulatedNetwork network, IReadOnlyList<Machine> machines, Func<Machine, bool> mayLosePower, Action<Machine> reconfigure, Action<string> say)
    {
        (_scheduler, _network, _machines, _mayLosePower, _reconfigure, _say) = (scheduler, network, machines, mayLosePower, reconfigure, say);
        _meanMilliseconds = new[] { 200, 1000, 4000 }[Dice.Next(3)];
        _kinds = [.. new Action[] { KillTransfer, KillMount, KillWithinCall, StopTransfer, CutPower, CutPowerWithinCall, Freeze, CutLink, Silence, DiskErrors, FullDisk, StepClock, Rotate, Reconfigure }
            .Select(fault => (Dice.Next(3) == 0 ? 0 : Dice.Next(1, 10), fault))];
    }

    public bool IsOver { get; set; }

    private Random Dice => _scheduler.Dice;

    public void Go() => _scheduler.After(TimeSpan.FromMilliseconds(Dice.Next(2 * _meanMilliseconds)), null, () =>
    {
        if (IsOver)
            return;
        var point = Dice.Next(Math.Max(1, _kinds.Sum(static k => k.Weight)));
        foreach (var (weight, fault) in _kinds)
        {
            if ((point -= weight) >= 0)
                continue;
            fault();
            break;
        }

        Go();
    });

    /// <summary>The end of all that: everything runs, everything is connected, every disk is well.</summary>
    public void Heal()
    {
        IsOver = true;
        _network.MendAll();
        foreach (var machine in _machines)
        {
            machine.Disk.Faults.Heal();
            machine.Time.Offset = TimeSpan.Zero;
            foreach (var process in machine.Processes)
                process.Thaw();
        }
    }

    private Machine Any() => _machines[Dice.Next(_machines.Count)];

    private void Say(Machine machine, string what) => _say($"{TimeSpan.FromTicks(_scheduler.Now):mm\\:ss\\.fff} {machine.Name}: fault: {what}");

    private void KillTransfer()
    {
        var machine = Any();
        Say(machine, "kill transfer");
        machine.Transfer?.Kill();
    }

    private void KillMount()
    {
        var machine = Any();
        machine.Mount?.Process?.Kill();
    }

    private void KillWithinCall()
    {
        var machine = Any();
        Say(machine, "kill within a call");
        foreach (var process in machine.Processes)
            process.KillAtCall(Dice.Next(1, 60));
    }

    private void StopTransfer()
    {
        var machine = Any();
        Say(machine, "stop");
        machine.StopTransfer();
    }

    private void CutPower()
    {
        var machine = Any();
        if (_mayLosePower(machine))
            machine.CutPower();
    }

    private void CutPowerWithinCall()
    {
        var machine = Any();
        if (!_mayLosePower(machine))
            return;
        Say(machine, "cut power within a call");
        foreach (var process in machine.Processes)
            process.KillAtCall(Dice.Next(1, 60), machine.CutPower);
    }

    private void Freeze()
    {
        var machine = Any();
        if (machine.Transfer is not { IsAlive: true } process)
            return;
        Say(machine, "freeze");
        process.Freeze();
        _scheduler.After(TimeSpan.FromMilliseconds(Dice.Next(40_000)), null, process.Thaw);
    }

    private void CutLink()
    {
        var (a, b) = (Any(), Any());
        if (a == b)
            return;
        Say(a, "cut from " + b.Name);
        _network.Cut(a.Name, b.Name);
        _scheduler.After(TimeSpan.FromMilliseconds(Dice.Next(20_000)), null, () => _network.Mend(a.Name, b.Name));
    }

    private void Silence()
    {
        var (a, b) = (Any(), Any());
        if (a == b)
            return;
        Say(a, "silent to " + b.Name);
        _network.Silence(a.Name, b.Name);
        _scheduler.After(TimeSpan.FromMilliseconds(Dice.Next(60_000)), null, () => _network.Mend(a.Name, b.Name));
    }

    private void DiskErrors()
    {
        var machine = Any();
        Say(machine, "disk errors");
        var faults = machine.Disk.Faults;
        faults.ReadFails = Chance();
        faults.WriteFails = Chance();
        faults.SyncFails = Chance();
        faults.NameFails = Chance();
        _scheduler.After(TimeSpan.FromMilliseconds(Dice.Next(8_000)), null, faults.Heal);
        double Chance() => Dice.Next(2) == 0 ? 0 : Dice.NextDouble() * 0.2;
    }

    private void FullDisk()
    {
        var machine = Any();
        Say(machine, "disk full");
        machine.Disk.Faults.Capacity = machine.Disk.Used + Dice.Next(20_000);
        _scheduler.After(TimeSpan.FromMilliseconds(Dice.Next(8_000)), null, machine.Disk.Faults.Heal);
    }

    private void StepClock()
    {
        var machine = Any();
        machine.Time.Offset = TimeSpan.FromSeconds(Dice.Next(-100_000, 100_000));
        Say(machine, $"clock steps to {machine.Time.Offset}");
    }

    private void Rotate()
    {
        var machine = Any();
        var paths = machine.Disk.Names.Keys.Where(static p => p.StartsWith("/out", StringComparison.Ordinal) && !p.Contains(".old", StringComparison.Ordinal)).ToArray();
        if (paths.Length == 0)
            return;
        var path = paths[Dice.Next(paths.Length)];
        Say(machine, "rotate " + path);
        machine.Disk.Rename(path, $"{path}.old{_scheduler.Now}");
    }

    private void Reconfigure()
    {
        var machine = Any();
        Say(machine, "reconfigure");
        _reconfigure(machine);
        if (Dice.Next(2) == 0)
            machine.StopTransfer();
        else
            machine.Transfer?.Kill();
    }
}
