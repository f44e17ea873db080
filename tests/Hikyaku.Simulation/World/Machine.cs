using Hikyaku.Forward;
using Hikyaku.Transfer;

namespace Hikyaku.Simulation;

/// <summary>One host: a disk, a clock, an address, and the transfer that runs on it, started again whenever it ends.</summary>
internal sealed class Machine : IDisposable
{
    private static readonly TimeSpan MendTime = TimeSpan.FromSeconds(10);

    private readonly Scheduler _scheduler;
    private readonly SimulatedNetwork _network;
    private readonly Action<string> _report;
    private CancellationTokenSource? _stop;
    private long _onSince;

    public Machine(string name, Scheduler scheduler, SimulatedNetwork network, Action<string> report)
    {
        Name = name;
        _scheduler = scheduler;
        _network = network;
        _report = report;
        Disk = new SimulatedDisk(scheduler);
        Time = new SimulatedTime(scheduler);
    }

    public string Name { get; }
    public SimulatedDisk Disk { get; }
    public SimulatedTime Time { get; }
    public SimulatedMount? Mount { get; set; }
    public SimulatedProcess? Transfer { get; private set; }
    public TransferProcess? Running { get; private set; }

    /// <summary>What the transfer is started with; a change counts from its next start.</summary>
    public required Func<TransferSettings> Settings { get; set; }

    /// <summary>What all machines ask each other for before the first line; null: nothing.</summary>
    public Secret? Key { get; init; }

    public bool IsOff { get; private set; }

    /// <summary>It has power, and has had the time to put right what a loss of it left in files.</summary>
    public bool IsWhole => !IsOff && _scheduler.Now - _onSince >= MendTime.Ticks;

    public IEnumerable<SimulatedProcess> Processes => new[] { Transfer, Mount?.Process }.OfType<SimulatedProcess>().Where(static p => p.IsAlive);

    public void Report(string text) => _report($"{TimeSpan.FromTicks(_scheduler.Now):mm\\:ss\\.fff} {Name}: {text}");

    public void Start()
    {
        IsOff = false;
        _onSince = _scheduler.Now;
        StartTransfer();
        Mount?.Start();
    }

    public void StartTransfer()
    {
        if (IsOff || Transfer is { IsAlive: true })
            return;
        var process = Transfer = new SimulatedProcess(_scheduler, Name + "/transfer");
        var stop = _stop = new CancellationTokenSource();
        process.Died += () => StartAgain(process);
        process.Start(
            () =>
            {
                Running = new TransferProcess(Secured(Settings()) with
                {
                    Host = Name,
                    StateDirectory = "/state",
                    Report = Report,
                    Time = Time,
                    Disk = new ProcessDisk(Disk, process),
                    Network = _network.Of(Name, process),
                    Random = _scheduler.Dice,
                    Nonces = _scheduler.Dice.NextBytes,
                    Tail = (_, mount) => Mount!.Tail(process),
                });
                return Running.RunAsync(stop.Token);
            },
            failure =>
            {
                // What the program says and ends with when it cannot go on; anything else is a bug.
                if (failure is not null and not IOException and not ForwardException)
                    _scheduler.Fail(failure);
                if (failure is not null)
                    Report("ended: " + failure.Message);
                process.Kill();
            });
    }

    /// <summary>Asks it to stop; it is started again when it has.</summary>
    public void StopTransfer()
    {
        var stop = _stop;
        _scheduler.Add(0, Transfer, _ => stop!.Cancel(), null);
    }

    public void CutPower()
    {
        if (IsOff)
            return;
        Report("power cut");
        IsOff = true;
        _network.PowerCut(Name);
        Mount?.LosePower();
        foreach (var process in Processes.ToArray())
            process.Kill();
        Disk.CutPower();
        _scheduler.After(TimeSpan.FromSeconds(_scheduler.Dice.Next(1, 20)), null, Start);
    }

    public void Dispose() => Disk.Dispose();

    private TransferSettings Secured(TransferSettings settings) => Key is null ? settings : settings with
    {
        Receive = settings.Receive is { } receive ? receive with { Admission = new AdmissionSettings { SharedKey = Key, Users = [new ForwardUser("user", Key)] } } : null,
        Routes = [.. settings.Routes.Select(r => r with
        {
            Forward = r.Forward is { } forward ? forward with { Credentials = new CredentialSettings { SharedKey = Key, User = new ForwardUser("user", Key) } } : null,
        })],
    };

    private void StartAgain(SimulatedProcess ended)
    {
        Report("transfer is gone");
        _scheduler.After(TimeSpan.FromMilliseconds(_scheduler.Dice.Next(50, 3000)), null, () =>
        {
            if (Transfer == ended)
                StartTransfer();
        });
    }
}
