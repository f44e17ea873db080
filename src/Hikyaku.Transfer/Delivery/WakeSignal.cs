namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// Wakes the one loop that waits on it: new records, an acknowledgement, a timer. Level-triggered: a pulse without a waiter is kept
/// for the next wait, and whoever wakes looks at everything again.
/// </summary>
internal sealed class WakeSignal : IDisposable
{
    private readonly SemaphoreSlim _pulses = new(0, 1);
    private readonly ITimer _timer;

    public WakeSignal(TimeProvider time)
    {
        _timer = time.CreateTimer(static state => ((WakeSignal)state!).Pulse(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Pulse()
    {
        try
        {
            if (_pulses.CurrentCount == 0)
                _pulses.Release();
        }
        catch (SemaphoreFullException)
        {
            // Somebody else was quicker; one pulse is enough.
        }
        catch (ObjectDisposedException)
        {
            // A timer or a receiver that fires while the pump ends.
        }
    }

    /// <summary>Waits for a pulse, at most <paramref name="longest"/>.</summary>
    public async ValueTask WaitAsync(TimeSpan longest, CancellationToken cancel)
    {
        if (_pulses.Wait(0, CancellationToken.None))
            return;
        // A timer takes whole milliseconds and drops the rest: below one it would fire at once, again and again.
        _timer.Change(TimeSpan.FromMilliseconds(Math.Ceiling(longest.TotalMilliseconds)), Timeout.InfiniteTimeSpan);
        await _pulses.WaitAsync(cancel).ConfigureAwait(false);
        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Dispose()
    {
        _timer.Dispose();
        _pulses.Dispose();
    }
}
