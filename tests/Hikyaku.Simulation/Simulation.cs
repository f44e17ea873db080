using Hikyaku.Log;
using Hikyaku.Transfer;

namespace Hikyaku.Simulation;

/// <summary>How one seed ended.</summary>
internal sealed record Outcome(int Seed, string? Problem, int Lines, long Steps, TimeSpan Time, ulong Trace);

/// <summary>
/// Agents, relays and receivers on simulated machines, programs that write numbered lines, and faults, all from one seed. When
/// the faults have ended everything that was accepted must be in every file it belongs to, once, in order.
/// </summary>
internal sealed class Simulation : IDisposable
{
    private const string ListPath = "/etc/servers";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(20);

    private readonly int _seed;
    private readonly bool _storesRepeats;
    private readonly Scheduler _scheduler;
    private readonly SimulatedNetwork _network;
    private readonly Action<string> _say;
    private readonly List<Machine> _machines = [];
    private readonly List<Application> _applications = [];
    private readonly List<Delivery> _deliveries = [];
    private readonly Dictionary<Machine, Action> _changes = [];
    private readonly HashSet<Machine> _mayLosePower = [];

    private Simulation(int seed, bool storesRepeats, Action<string> say)
    {
        _seed = seed;
        _storesRepeats = storesRepeats;
        _say = say;
        _scheduler = new Scheduler(new Random(seed));
        _network = new SimulatedNetwork(_scheduler) { DelayMax = Dice.Next(2) == 0 ? 5_000 : 300_000 };
    }

    private Random Dice => _scheduler.Dice;

    /// <param name="seed">Decides everything.</param>
    /// <param name="storesRepeats">The canary: receivers do not recognise repetitions.</param>
    /// <param name="say">Takes what happens, line by line.</param>
    public static Outcome Run(int seed, bool storesRepeats, Action<string> say)
    {
        using var simulation = new Simulation(seed, storesRepeats, say);
        return simulation.Run();
    }

    public void Dispose()
    {
        foreach (var machine in _machines)
            machine.Dispose();
    }

    private Outcome Run()
    {
        Build();
        var faults = new Faults(_scheduler, _network, _machines, _mayLosePower.Contains, Reconfigure, _say);
        foreach (var machine in _machines)
            machine.Start();
        foreach (var application in _applications)
            application.Go();
        faults.Go();

        var problem = (string?)null;
        var end = TimeSpan.FromSeconds(Dice.Next(5, 60));
        _scheduler.Run(end, static () => false);
        faults.Heal();
        _say($"{TimeSpan.FromTicks(_scheduler.Now):mm\\:ss\\.fff} the faults are over");
        foreach (var application in _applications)
            application.IsStopped = true;
        var isQuiet = _scheduler.Run(Patience, () => _applications.TrueForAll(static a => a.IsIdle));
        foreach (var application in _applications)
            application.WriteLast();
        for (var waited = TimeSpan.Zero; waited < Patience; waited += TimeSpan.FromSeconds(2))
        {
            _scheduler.Run(TimeSpan.FromSeconds(2), static () => false);
            problem = isQuiet ? Problem(isEnd: true) : "a program still waits for its write";
            // Only what is missing may still come right, and what a loss of power left in a file.
            if (problem is null || _scheduler.Failure is not null || (_machines.TrueForAll(static m => m.IsWhole) && Problem(isEnd: false) is not null))
                break;
        }

        // Nothing may come twice later either.
        if (problem is null && _scheduler.Failure is null)
        {
            _scheduler.Run(TimeSpan.FromMinutes(2), static () => false);
            _scheduler.Run(Patience, () => _machines.TrueForAll(static m => m.IsWhole));
            problem = Problem(isEnd: true);
        }

        if (_scheduler.Failure is { } failure)
            problem = failure.ToString();
        return new Outcome(_seed, problem, _applications.Sum(static a => a.Lines.Count), _scheduler.Steps, TimeSpan.FromTicks(_scheduler.Now), _scheduler.Trace);
    }

    private string? Problem(bool isEnd) => _deliveries.Select(d => d.Problem(_applications, isEnd)).FirstOrDefault(static p => p is not null);

    private void Reconfigure(Machine machine)
    {
        if (_changes.Remove(machine, out var change))
            change();
    }

    private void Build()
    {
        var agents = Enumerable.Range(0, Dice.Next(1, 4)).Select(i => Agent($"a{i}")).ToArray();
        switch (Dice.Next(11))
        {
            case 0:
                Direct(agents);
                break;
            case 1:
                OneOfTwo(agents);
                break;
            case 2:
                BothOfTwo(agents);
                break;
            case 3:
                ThroughRelay(agents, Dice.Next(2) == 0);
                break;
            case 4:
                ThroughTwoRelays(agents);
                break;
            case 5:
                Divided(agents);
                break;
            case 6:
                Broadcast(agents);
                break;
            case 7:
                Copied(agents);
                break;
            case 8:
                FirstHealthy(agents);
                break;
            case 9:
                GivenUp(agents);
                break;
            default:
                Local(agents);
                break;
        }

        foreach (var agent in agents)
        {
            for (var i = Dice.Next(1, 4); i > 0; i--)
                _applications.Add(new Application($"{agent.Name}w{i}", agent, _scheduler));
        }
    }

    private void Direct(Machine[] agents)
    {
        var receiver = Receiver("c1");
        foreach (var agent in agents)
            Send(agent, ["c1"]);
        _deliveries.Add(new Delivery("direct", [(receiver, "/out")], static _ => true, isOrdered: true));
    }

    private void OneOfTwo(Machine[] agents)
    {
        var (one, two) = (Receiver("c1"), Receiver("c2"));
        foreach (var agent in agents)
        {
            Send(agent, ["c1"]);
            _changes[agent] = () => Send(agent, ["c1", "c2"]);
            if (Dice.Next(2) == 0)
                Reconfigure(agent);
        }

        _deliveries.Add(new Delivery("one of two", [(one, "/out"), (two, "/out")], static _ => true, isOrdered: true));
    }

    private void BothOfTwo(Machine[] agents)
    {
        var (one, two) = (Receiver("c1"), Receiver("c2"));
        foreach (var agent in agents)
            Send(agent, ["c1"], ["c2"]);
        _deliveries.Add(new Delivery("both: first", [(one, "/out")], static _ => true, isOrdered: true));
        _deliveries.Add(new Delivery("both: second", [(two, "/out")], static _ => true, isOrdered: true));
    }

    private void ThroughRelay(Machine[] agents, bool toBoth)
    {
        var (one, two) = (Receiver("c1"), Receiver("c2"));
        Relay("r1", toBoth ? [["c1"], ["c2"]] : [["c1", "c2"]]);
        foreach (var agent in agents)
            Send(agent, ["r1"]);
        if (toBoth)
        {
            _deliveries.Add(new Delivery("relay: first", [(one, "/out")], static _ => true, isOrdered: true));
            _deliveries.Add(new Delivery("relay: second", [(two, "/out")], static _ => true, isOrdered: true));
        }
        else
        {
            _deliveries.Add(new Delivery("relay: either", [(one, "/out"), (two, "/out")], static _ => true, isOrdered: true));
        }
    }

    // Whoever goes by two ways may overtake himself.
    private void ThroughTwoRelays(Machine[] agents)
    {
        var receiver = Receiver("c1");
        Relay("r1", ["c1"]);
        Relay("r2", ["c1"]);
        foreach (var agent in agents)
            Send(agent, ["r1", "r2"]);
        _deliveries.Add(new Delivery("two relays", [(receiver, "/out")], static _ => true, isOrdered: false));
    }

    // By hash each line goes to one of them, whoever comes, goes or is away.
    private void Divided(Machine[] agents)
    {
        var machines = new[] { Receiver("c1"), Receiver("c2"), Receiver("c3") };
        foreach (var agent in agents)
            SendChanging(agent, new ForwardOutputSettings([]) { Deliver = DeliverMode.Hash, Hash = (HashKey)Dice.Next(3) }, "c1\nc2", "c1\nc2\nc3");
        _deliveries.Add(new Delivery("divided", [.. machines.Select(static m => (m, "/out"))], static _ => true, isOrdered: true));
    }

    // One that comes later gets at least what is written from then on, so only those that were there from the start are in the books.
    // One that leaves and comes back goes on where it was.
    private void Broadcast(Machine[] agents)
    {
        var machines = new[] { Receiver("c1"), Receiver("c2") };
        Receiver("c3");
        foreach (var agent in agents)
            SendChanging(agent, new ForwardOutputSettings([]) { Deliver = DeliverMode.Broadcast }, Dice.Next(2) == 0 ? ["c1\nc2", "c1\nc2\nc3"] : ["c1\nc2", "c1", "c2\nc3\nc1"]);
        foreach (var machine in machines)
            _deliveries.Add(new Delivery("broadcast: " + machine.Name, [(machine, "/out")], static _ => true, isOrdered: true));
    }

    private void Copied(Machine[] agents)
    {
        var machines = new[] { Receiver("c1"), Receiver("c2"), Receiver("c3") };
        foreach (var agent in agents)
            SendTo(agent, new ForwardOutputSettings(["c1", "c2", "c3"]) { Copies = 2, Deliver = Dice.Next(2) == 0 ? DeliverMode.Random : DeliverMode.Failover });
        _deliveries.Add(new Delivery("copied", [.. machines.Select(static m => (m, "/out"))], static _ => true, isOrdered: true) { Copies = 2 });
    }

    private void FirstHealthy(Machine[] agents)
    {
        var machines = new[] { Receiver("c1"), Receiver("c2"), Receiver("c3") };
        TargetServer[] servers = ["c1", "c2", new("c3") { IsStandby = true, Weight = 2 }];
        foreach (var agent in agents)
            SendTo(agent, new ForwardOutputSettings(servers) { Deliver = Dice.Next(2) == 0 ? DeliverMode.Failover : DeliverMode.Random });
        _deliveries.Add(new Delivery("first healthy", [.. machines.Select(static m => (m, "/out"))], static _ => true, isOrdered: true));
    }

    // What a server does not acknowledge in time goes to another: nothing is lost, and something may come twice.
    private void GivenUp(Machine[] agents)
    {
        var machines = new[] { Receiver("c1"), Receiver("c2"), Receiver("c3") };
        var settings = new ForwardOutputSettings(["c1", "c2", "c3"])
        {
            FailoverAfter = TimeSpan.FromSeconds(Dice.Next(1, 20)), Copies = Dice.Next(3) == 0 ? 2 : 1, Deliver = Dice.Next(2) == 0 ? DeliverMode.Random : DeliverMode.Failover,
        };
        if (settings.Copies == 1 && Dice.Next(2) == 0)
            settings = settings with { Deliver = DeliverMode.Hash };
        // One that left the list is given up too.
        var isChanging = Dice.Next(2) == 0;
        foreach (var agent in agents)
        {
            if (isChanging)
                SendChanging(agent, settings with { Servers = [], FailoverAfter = null }, "c1\nc2\nc3", "c2\nc3");
            else
                SendTo(agent, settings);
        }

        _deliveries.Add(new Delivery("given up", [.. machines.Select(static m => (m, "/out"))], static _ => true, isOrdered: false) { Copies = settings.Copies, MayBeMore = true });
    }

    // Files where the lines are written, and beyond.
    private void Local(Machine[] agents)
    {
        var receiver = Receiver("c1");
        foreach (var agent in agents)
        {
            var path = OutputPath();
            // Its files promise no more than its log.
            if (agent.Mount!.Level == CommitLevel.Process)
                _mayLosePower.Remove(agent);
            Set(agent, () => new TransferSettings
            {
                Host = "",
                StateDirectory = "",
                Routes =
                [
                    new RouteSettings("far") { Forward = new ForwardOutputSettings(["c1"]) },
                    new RouteSettings("near") { File = new FileOutputSettings(path) },
                ],
            });
            _deliveries.Add(new Delivery("near " + agent.Name, [(agent, "/out")], a => a.Machine == agent, isOrdered: true));
        }

        _deliveries.Add(new Delivery("far", [(receiver, "/out")], static _ => true, isOrdered: true));
    }

    private Machine Agent(string name)
    {
        var machine = New(name);
        var level = Level();
        var options = new LogOptions
        {
            QuotaBytes = Dice.Next(2) == 0 ? 512 << 10 : 4 << 20,
            CursorDirectory = "/state/cursors/" + SimulatedMount.Name,
        };
        // An agent whose log promises less may lose its last lines, and the books know which.
        if (Dice.Next(2) == 0)
            _mayLosePower.Add(machine);
        // What a file has grown by last is not in the books.
        var isBypassed = !_mayLosePower.Contains(machine) && Dice.Next(2) == 0;
        machine.Mount = new SimulatedMount(machine, _scheduler, options, level, isBypassed);
        return machine;
    }

    private void Send(Machine agent, params string[][] routes) => Set(agent, () => new TransferSettings
    {
        Host = "",
        StateDirectory = "",
        Routes = [.. routes.Select(static (servers, i) => new RouteSettings("to" + i) { Forward = new ForwardOutputSettings([.. servers]) })],
    });

    private static void SendTo(Machine agent, ForwardOutputSettings settings) => Set(agent, () => new TransferSettings
    {
        Host = "",
        StateDirectory = "",
        Routes = [new RouteSettings("to") { Forward = settings }],
    });

    // The list is in a file, which is replaced while the agent runs.
    private void SendChanging(Machine agent, ForwardOutputSettings settings, params string[] lists)
    {
        SendTo(agent, settings with { File = new ServersFile(ListPath, ParseList) });
        Change(0);

        void Change(int index)
        {
            // Who was never known to be there has no position to come back to.
            if (index == 0 || agent.Disk.DurableNames.Any(static p => p.EndsWith("@c2.cursor", StringComparison.Ordinal)) || settings.Deliver != DeliverMode.Broadcast)
                WriteList(agent, lists[index++]);
            if (index < lists.Length)
                _scheduler.After(TimeSpan.FromSeconds(Dice.Next(1, 30)), null, () => Change(index));
        }
    }

    private static void WriteList(Machine agent, string text)
    {
        var inode = agent.Disk.NewInode();
        inode.Write(System.Text.Encoding.UTF8.GetBytes(text), 0);
        inode.Sync();
        agent.Disk.Link(ListPath, inode);
        agent.Disk.SyncDirectory(SimulatedDisk.DirectoryOf(ListPath));
    }

    private static IReadOnlyList<TargetServer>? ParseList(string text, out string problem)
    {
        problem = "";
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static name => new TargetServer(name))];
    }

    private static void Set(Machine agent, Func<TransferSettings> settings) => agent.Settings = () => settings() with
    {
        Mounts = [new MountLog(SimulatedMount.Name, -1, agent.Mount!.Level) { BackingDirectory = BypassedFile.Directory }],
    };

    private void Relay(string name, params string[][] routes)
    {
        var machine = New(name);
        var receive = Receive(machine);
        machine.Settings = () => new TransferSettings
        {
            Host = "",
            StateDirectory = "",
            Receive = receive,
            Routes = [.. routes.Select(static (servers, i) => new RouteSettings("on" + i) { Forward = new ForwardOutputSettings([.. servers]) })],
        };
    }

    private Machine Receiver(string name)
    {
        var machine = New(name);
        var receive = Receive(machine);
        var path = OutputPath();
        // Two pumps that take turns in the same files.
        var isShared = Dice.Next(4) == 0;
        machine.Settings = () => new TransferSettings
        {
            Host = "",
            StateDirectory = "",
            Receive = receive,
            Routes = isShared
                ? [new RouteSettings("one") { Match = ["*w1.log"], File = new FileOutputSettings(path) }, new RouteSettings("rest") { Match = ["*w2.log", "*w3.log"], File = new FileOutputSettings(path) }]
                : [new RouteSettings("all") { File = new FileOutputSettings(path) }],
        };
        if (!isShared && Dice.Next(2) == 0)
        {
            _changes[machine] = () =>
            {
                path = "/out/other.log";
            };
        }

        return machine;
    }

    private ReceiveSettings Receive(Machine machine)
    {
        var level = Level();
        // Others do not promise what the books ask for.
        if (level == CommitLevel.Strict && Dice.Next(2) == 0)
            _mayLosePower.Add(machine);
        return new ReceiveSettings("*") { Commit = level, QuotaBytes = Dice.Next(2) == 0 ? 4 << 20 : 16 << 20, StoresRepeats = _storesRepeats };
    }

    private CommitLevel Level() => (CommitLevel)Dice.Next(3);

    private string OutputPath() => Dice.Next(3) switch
    {
        0 => "/out/{host}/{path}",
        1 => "/out/{file}",
        _ => "/out/all.log",
    };

    private Machine New(string name)
    {
        // Not drawn: kept seeds lead where they led.
        var key = _seed % 6 == 4 ? new Forward.Secret("key") : null;
        var machine = new Machine(name, _scheduler, _network, _say) { Key = key, Settings = static () => throw new InvalidOperationException("no settings") };
        _machines.Add(machine);
        return machine;
    }
}
