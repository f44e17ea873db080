using Hikyaku.Commands;

namespace Hikyaku.Supervision;

/// <summary>How the supervision of a child ended.</summary>
internal enum ChildEnd
{
    /// <summary>It was asked to stop, or it had nothing left to do.</summary>
    Finished,

    /// <summary>It failed too often.</summary>
    GivenUp,

    /// <summary>The very first one said that it cannot work on this machine or with this configuration.</summary>
    Refused,
}

/// <summary>One child that is started again whenever it dies.</summary>
/// <param name="where">How the journal calls it.</param>
/// <param name="start">Starts the next one.</param>
/// <param name="rule">When and how long to wait, and when to give up.</param>
internal sealed class SupervisedChild(string where, Func<ChildProcess> start, RestartRule rule) : IDisposable
{
    /// <summary>The exit code of a child that no other can replace.</summary>
    public const int NoSuccessor = 4;

    private const int KilledBySignal9 = 128 + 9;

    private readonly TaskCompletionSource<bool> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private ChildProcess? _child;
    private volatile bool _replacing;

    /// <summary>The process running now, or the last one.</summary>
    public int ProcessId => _child?.Id ?? 0;

    /// <summary>The exit code of the last one that ended.</summary>
    public int LastCode { get; private set; }

    /// <summary>True when one has said that it works, false when there will be none.</summary>
    public Task<bool> Ready => _ready.Task;

    /// <summary>Keeps a child running until it is no longer wanted, ends by itself with 0, or the rule gives up.</summary>
    public async Task<ChildEnd> RunAsync()
    {
        try
        {
            for (var first = true; !_stop.IsCancellationRequested; first = false)
            {
                using var child = start();
                _child = child;
                var startedAt = rule.Time.GetTimestamp();
                _ = AnnounceAsync(child);
                var code = LastCode = await child.Exited;
                var ran = rule.Time.GetElapsedTime(startedAt);
                var wasReady = await child.Ready;
                // Its end may be noticed before its readiness.
                if (wasReady)
                    _ready.TrySetResult(true);
                if (_stop.IsCancellationRequested || (code is ExitCode.Ok && !_replacing))
                    return ChildEnd.Finished;
                if (_replacing)
                    _replacing = false;
                else if (code is NoSuccessor)
                    return ChildEnd.GivenUp;
                else if (first && code is ExitCode.Usage or ExitCode.Missing)
                    return ChildEnd.Refused;
                // Somebody killing it by hand, or the kernel for want of memory, says nothing against the program.
                else if (!(wasReady && code is KilledBySignal9) && rule.Limit?.Exceeded() is true)
                {
                    Journal.Error(where, $"process {child.Id} {Describe(code)}: the last of too many failures in a short time, giving up; the lines above say why");
                    return ChildEnd.GivenUp;
                }
                else
                {
                    var pause = rule.NextPause(ran);
                    Journal.Warn(where, $"process {child.Id} {Describe(code)}{(wasReady ? "" : " before it was ready")}; starting the next one{(pause > TimeSpan.Zero ? $" in {pause.TotalMilliseconds:0} ms" : "")}");
                    await Task.Delay(pause, rule.Time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
            return ChildEnd.Finished;
        }
        finally
        {
            _ready.TrySetResult(false);
        }
    }

    /// <summary>The end of the child, when it comes, is wanted.</summary>
    public void ExpectEnd() => _stop.Cancel();

    /// <summary>Asks, waits, kills; nothing is started again. Returns whether it went by itself.</summary>
    public Task<bool> StopAsync(TimeSpan patience)
    {
        ExpectEnd();
        return _child?.StopAsync(patience) ?? Task.FromResult(true);
    }

    /// <summary>Ends the child; the next one starts at once: how a changed configuration comes into force.</summary>
    public Task ReplaceAsync(TimeSpan patience)
    {
        _replacing = _child is { Exited.IsCompleted: false };
        return _replacing ? _child!.StopAsync(patience) : Task.CompletedTask;
    }

    public void Dispose() => _stop.Dispose();

    private async Task AnnounceAsync(ChildProcess child)
    {
        if (await child.Ready)
            _ready.TrySetResult(true);
    }

    private static string Describe(int code) => code > 128 ? $"was ended by signal {code - 128}" : $"ended with code {code}";
}
