using System.Diagnostics;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>Waiting for a condition instead of a time.</summary>
internal static class Eventually
{
    /// <summary>What a healthy machine under load needs at most; reached only by a test that fails.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static void Is(Func<bool> condition, string what, Func<string>? details = null, TimeSpan? patience = null)
    {
        var limit = patience ?? Patience;
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            if (watch.Elapsed > limit)
                throw new TimeoutException($"Not within {limit.TotalSeconds:F0} s: {what}.\n{details?.Invoke()}");
            Thread.Sleep(5);
        }
    }
}
