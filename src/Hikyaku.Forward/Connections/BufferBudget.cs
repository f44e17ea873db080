namespace Hikyaku.Forward;

/// <summary>The memory that all connections of a server together may hold for messages that have begun and are not stored yet.</summary>
internal sealed class BufferBudget(long bytesMax, Action<string> report, TimeProvider time)
{
    // Who fills it and lets it go as he likes is good for two lines a minute.
    private static readonly TimeSpan QuietTime = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private long used;
    private bool exhausted;
    private long since;

    /// <summary>Less than half of it is used.</summary>
    public bool IsPlenty => Volatile.Read(ref used) < bytesMax / 2;

    /// <summary>False: that much is not left, and who asked has to go. Reported when it begins, not for each.</summary>
    public bool TryTake(long bytes)
    {
        lock (gate)
        {
            if (used + bytes <= bytesMax)
            {
                used += bytes;
                return true;
            }
            if (exhausted)
                return false;
            exhausted = true;
            since = time.GetTimestamp();
        }
        report($"unfinished messages take all of the {bytesMax} bytes that they may; connections that need more are closed");
        return false;
    }

    public void Give(long bytes)
    {
        lock (gate)
        {
            used -= bytes;
            if (!exhausted || used > bytesMax / 2 || time.GetElapsedTime(since) < QuietTime)
                return;
            exhausted = false;
        }
        report("unfinished messages have room again");
    }
}
