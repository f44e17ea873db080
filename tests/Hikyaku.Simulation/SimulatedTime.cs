namespace Hikyaku.Simulation;

/// <summary>The clock of one machine. Its wall clock may be stepped; elapsed time is everybody's.</summary>
internal sealed class SimulatedTime(Scheduler scheduler) : TimeProvider
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>How wrong the wall clock is.</summary>
    public TimeSpan Offset { get; set; }

    public override DateTimeOffset GetUtcNow() => Start + Offset + TimeSpan.FromTicks(scheduler.Now);

    public override long GetTimestamp() => scheduler.Now;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(scheduler, SimulatedProcess.Current, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class Timer(Scheduler scheduler, SimulatedProcess? owner, TimerCallback callback, object? state) : ITimer
    {
        private long _turn;
        private TimeSpan _period;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _turn++;
            _period = period;
            if (dueTime >= TimeSpan.Zero)
                Add(dueTime, _turn);
            return true;
        }

        public void Dispose() => _turn++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }

        private void Add(TimeSpan delay, long turn) => scheduler.After(delay, owner, () =>
        {
            if (turn != _turn)
                return;
            if (_period > TimeSpan.Zero)
                Add(_period, turn);
            callback(state);
        });
    }
}
