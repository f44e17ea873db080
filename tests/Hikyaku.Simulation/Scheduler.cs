namespace Hikyaku.Simulation;

/// <summary>
/// Everything that happens, one thing after the other, on one thread, in simulated time. What is due at the same time comes in
/// an order of the dice, so that each seed is another interleaving.
/// </summary>
internal sealed class Scheduler(Random dice)
{
    private readonly record struct Step(SimulatedProcess? Owner, SendOrPostCallback Callback, object? State);

    private readonly PriorityQueue<Step, (long Time, int Dice, long Order)> _steps = new();
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private long _order;

    public Random Dice { get; } = dice;

    /// <summary>Ticks of 100 ns since the start.</summary>
    public long Now { get; private set; }

    public long Steps { get; private set; }

    /// <summary>Grows from everything that happened: the same seed must end with the same value.</summary>
    public ulong Trace { get; private set; } = 14695981039346656037;

    /// <summary>A bug of a process, or of the simulation.</summary>
    public Exception? Failure { get; private set; }

    public void After(TimeSpan delay, SimulatedProcess? owner, Action action) => Add(delay.Ticks, owner, static state => ((Action)state!)(), action);

    public void Add(long delay, SimulatedProcess? owner, SendOrPostCallback callback, object? state)
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            // Some part of the program went through the thread pool: the same seed would not lead the same way again.
            Failure ??= new InvalidOperationException("scheduled from another thread:\n" + Environment.StackTrace);
            return;
        }

        _steps.Enqueue(new Step(owner, callback, state), (Now + Math.Max(delay, 0), Dice.Next(), _order++));
    }

    public void Note(long what) => Trace = (Trace ^ (ulong)what) * 1099511628211;

    public void Fail(Exception failure) => Failure ??= failure;

    /// <summary>Runs until nothing is left, the condition holds, or the time is over; false for the last.</summary>
    public bool Run(TimeSpan longest, Func<bool> until)
    {
        var end = Now + longest.Ticks;
        while (Failure is null && !until())
        {
            if (!_steps.TryPeek(out _, out var next) || next.Time > end)
            {
                Now = end;
                return false;
            }

            var step = _steps.Dequeue();
            Now = next.Time;
            if (step.Owner is { } owner)
                owner.Run(step.Callback, step.State);
            else
                step.Callback(step.State);
            Steps++;
            Note(Now);
        }

        return true;
    }
}
