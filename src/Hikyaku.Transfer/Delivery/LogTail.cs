namespace Hikyaku.Transfer.Delivery;

/// <summary>Tells the pumps of one log that records were appended. The base serves a log that this process writes itself.</summary>
internal class LogTail : IDisposable
{
    private readonly Lock _lock = new();
    private WakeSignal[] _pumps = [];

    public void Add(WakeSignal pump)
    {
        lock (_lock)
            _pumps = [.. _pumps, pump];
    }

    public void Remove(WakeSignal pump)
    {
        lock (_lock)
            _pumps = [.. _pumps.Where(p => p != pump)];
    }

    public void Pulse()
    {
        foreach (var pump in _pumps)
            pump.Pulse();
    }

    /// <summary>
    /// A pump calls this before it looks at the log a last time and then waits: whatever is appended afterwards pulses it.
    /// </summary>
    public virtual void Arm()
    {
    }

    public virtual void Dispose()
    {
    }
}
