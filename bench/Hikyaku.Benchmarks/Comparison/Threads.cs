using System.Runtime.ExceptionServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Several waits at once.</summary>
internal static class Threads
{
    /// <summary>Each number in a thread of its own; the first exception, once all have ended.</summary>
    public static void ForEach(int count, Action<int> action)
    {
        Exception? failure = null;
        var threads = Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            try
            {
                action(i);
            }
            catch (Exception e)
            {
                failure ??= e;
            }
        })).ToList();
        threads.ForEach(static t => t.Start());
        threads.ForEach(static t => t.Join());
        if (failure is not null)
            ExceptionDispatchInfo.Throw(failure);
    }
}
