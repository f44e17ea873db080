using System.Threading.Tasks.Sources;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// Wakes the one loop that waits on it: new records, an acknowledgement, a timer. Level-triggered: a pulse without a waiter is kept
/// for the next wait, and whoever wakes looks at everything again.
/// </summary>
internal sealed class WakeSignal : IValueTaskSource, IDisposable
{
    private const int Quiet = 0, Pulsed = 1, Waiting = 2;

    private readonly ITimer _timer;
    private ManualResetValueTaskSourceCore<bool> _wait = new() { RunContinuationsAsynchronously = true };
    private int _state = Quiet;

    public WakeSignal(TimeProvider time)
    {
        _timer = time.CreateTimer(Pulse, this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public void Pulse()
    {
        // What the loop is to see must be seen before its state is looked at.
        Interlocked.MemoryBarrier();
        while (true)
        {
            var state = Volatile.Read(ref _state);
            if (state == Pulsed)
                return;
            if (Interlocked.CompareExchange(ref _state, state == Waiting ? Quiet : Pulsed, state) != state)
                continue;
            if (state == Waiting)
                _wait.SetResult(true);
            return;
        }
    }

    /// <summary>Waits for a pulse, at most <paramref name="longest"/>.</summary>
    public async ValueTask WaitAsync(TimeSpan longest, CancellationToken cancel)
    {
        if (Interlocked.CompareExchange(ref _state, Quiet, Pulsed) == Pulsed)
            return;
        // A timer takes whole milliseconds and drops the rest: below one it would fire at once, again and again.
        _timer.Change(TimeSpan.FromMilliseconds(Math.Ceiling(longest.TotalMilliseconds)), Timeout.InfiniteTimeSpan);
        await using (cancel.UnsafeRegister(Pulse, this))
        {
            _wait.Reset();
            if (Interlocked.CompareExchange(ref _state, Waiting, Quiet) == Quiet)
                await new ValueTask(this, _wait.Version);
            else
                Volatile.Write(ref _state, Quiet);
        }

        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        cancel.ThrowIfCancellationRequested();
    }

    public void Dispose() => _timer.Dispose();

    void IValueTaskSource.GetResult(short token) => _wait.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    private static void Pulse(object? signal) => ((WakeSignal)signal!).Pulse();
}
