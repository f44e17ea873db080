namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Looks ten times a second how much memory the processes of a system have of their own: the kernel remembers only the peak of all that is resident.</summary>
internal sealed class MemoryWatch : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, long> _most = new(StringComparer.Ordinal);
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;

    public MemoryWatch(MeasuredSystem system)
    {
        _thread = new Thread(() =>
        {
            do
            {
                foreach (var (role, figures) in ProcessFigures.Of(system))
                    _most[role] = Math.Max(_most.GetValueOrDefault(role), figures.Own);
            }
            while (!_stop.Wait(Interval));
        }) { IsBackground = true };
        _thread.Start();
    }

    /// <summary>Ends the watch; the most of each role, KiB.</summary>
    public IReadOnlyDictionary<string, long> Most()
    {
        Dispose();
        return _most;
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
    }
}
