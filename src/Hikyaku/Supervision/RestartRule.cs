namespace Hikyaku.Supervision;

/// <summary>How eagerly a dead child is replaced.</summary>
/// <param name="limit">Failures allowed; null allows any number.</param>
/// <param name="pauseMin">The first pause.</param>
/// <param name="pauseMax">Each further failure doubles the pause up to this; a child that ran longer than this resets it.</param>
internal sealed class RestartRule(FailureLimit? limit, TimeSpan pauseMin, TimeSpan pauseMax, TimeProvider time)
{
    private TimeSpan? _pause;

    public FailureLimit? Limit => limit;

    public TimeProvider Time => time;

    /// <summary>At once: programs wait in write(2) until the next one answers.</summary>
    public static RestartRule ForMount() => new(new FailureLimit(5, TimeSpan.FromSeconds(60), TimeProvider.System), TimeSpan.Zero, TimeSpan.Zero, TimeProvider.System);

    /// <summary>For ever: the lines are safe in the log meanwhile.</summary>
    public static RestartRule ForTransfer() => new(null, TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(5), TimeProvider.System);

    public TimeSpan NextPause(TimeSpan ranFor)
    {
        if (ranFor > pauseMax)
            _pause = null;
        var pause = _pause ?? pauseMin;
        _pause = pause * 2 < pauseMax ? pause * 2 : pauseMax;
        return pause;
    }
}
