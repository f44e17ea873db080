namespace Hikyaku.Simulation;

/// <summary>Thrown out of a call of a process that is dead, so that nothing more of it runs.</summary>
internal sealed class KilledException() : Exception("the process was killed");

/// <summary>
/// One process of a simulated machine: where its continuations run, until it is killed. What it holds of disk and network is
/// given back by those who gave it.
/// </summary>
internal sealed class SimulatedProcess(Scheduler scheduler, string name) : SynchronizationContext
{
    private readonly List<(SendOrPostCallback, object?)> _frozen = [];
    private bool _isFrozen;
    private long _callsLeft = long.MaxValue;
    private Action? _afterwards;

    public static new SimulatedProcess? Current => SynchronizationContext.Current as SimulatedProcess;

    public string Name => name;
    public Scheduler Scheduler => scheduler;
    public bool IsAlive { get; private set; } = true;
    public long Calls { get; private set; }

    /// <summary>Called once when it dies.</summary>
    public event Action? Died;

    public void Start(Func<Task> main, Action<Exception?> ended) => scheduler.Add(0, this, async _ =>
    {
        Exception? failure = null;
        try
        {
            await main();
        }
        catch (KilledException)
        {
            return;
        }
        catch (Exception e)
        {
            failure = e;
        }

        if (IsAlive)
            ended(failure);
    }, null);

    public void Run(SendOrPostCallback callback, object? state)
    {
        if (!IsAlive)
            return;
        if (_isFrozen)
        {
            _frozen.Add((callback, state));
            return;
        }

        SetSynchronizationContext(this);
        try
        {
            callback(state);
        }
        catch (KilledException)
        {
            // Nothing of it goes on.
        }
        catch (Exception e) when (IsAlive)
        {
            scheduler.Fail(e);
        }
        catch (Exception)
        {
            // What a dying process still throws interests nobody.
        }
        finally
        {
            SetSynchronizationContext(null);
        }
    }

    // Up to some microseconds: whoever is woken first need not run first.
    public override void Post(SendOrPostCallback d, object? state)
    {
        if (IsAlive)
            scheduler.Add(scheduler.Dice.Next(50), this, d, state);
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException();

    public override SynchronizationContext CreateCopy() => this;

    public void Kill()
    {
        if (!IsAlive)
            return;
        IsAlive = false;
        Died?.Invoke();
    }

    /// <summary>It dies within its so many next system calls, and then that happens.</summary>
    public void KillAtCall(long calls, Action? afterwards = null) => (_callsLeft, _afterwards) = (Calls + calls, afterwards);

    /// <summary>Counts a system call. True: the process dies in it, and the caller throws after as much effect as it likes.</summary>
    public bool DiesAtThisCall()
    {
        if (!IsAlive)
            throw new KilledException();
        if (++Calls < _callsLeft)
            return false;
        Kill();
        if (_afterwards is { } then)
            scheduler.After(TimeSpan.Zero, null, then);
        return true;
    }

    public void Freeze() => _isFrozen = true;

    public void Thaw()
    {
        _isFrozen = false;
        foreach (var (callback, state) in _frozen)
            scheduler.Add(0, this, callback, state);
        _frozen.Clear();
    }
}
