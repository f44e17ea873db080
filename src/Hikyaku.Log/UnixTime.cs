namespace Hikyaku.Log;

internal static class UnixTime
{
    /// <summary>Nanoseconds since 1970.</summary>
    public static long Now(TimeProvider clock) => (clock.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
}
