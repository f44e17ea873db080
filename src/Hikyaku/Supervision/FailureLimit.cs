namespace Hikyaku.Supervision;

/// <summary>Counts failures in a sliding window of time and says when there were too many.</summary>
internal sealed class FailureLimit(int max, TimeSpan window, TimeProvider time)
{
    private readonly Queue<long> _failures = new();

    /// <summary>Whether one more failure, now, is too many.</summary>
    public bool Exceeded()
    {
        while (_failures.TryPeek(out var oldest) && time.GetElapsedTime(oldest) > window)
            _failures.Dequeue();
        _failures.Enqueue(time.GetTimestamp());
        return _failures.Count > max;
    }
}
