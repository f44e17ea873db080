using System.ComponentModel;
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

    // Longer than between children that ran: want of memory or of process numbers does not end in an instant.
    private static readonly TimeSpan NotStartedPause = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<bool> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private ChildProcess? _child;
    private bool _asked;
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
            while (!_stop.IsCancellationRequested)
            {
                using var child = TryStart(out var problem);
                if (child is null)
                {
                    if (await GivesUpAsync($"no process could be started: {problem}", limited: true, TimeSpan.Zero, NotStartedPause))
                        return ChildEnd.GivenUp;
                    continue;
                }
                lock (_gate)
                {
                    _child = child;
                    if (_asked)
                        child.AskToStop();
                }
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
                else if (!_ready.Task.IsCompleted && code is ExitCode.Usage or ExitCode.Missing)
                    return ChildEnd.Refused;
                // Somebody killing it by hand, or the kernel for want of memory, says nothing against the program.
                else if (await GivesUpAsync($"process {child.Id} {Describe(code)}{(wasReady ? "" : " before it was ready")}", limited: !(wasReady && code is KilledBySignal9), ran, TimeSpan.Zero))
                    return ChildEnd.GivenUp;
            }
            return ChildEnd.Finished;
        }
        finally
        {
            _ready.TrySetResult(false);
            _ended.SetResult();
        }
    }

    /// <summary>The end of the child, when it comes, is wanted.</summary>
    public void ExpectEnd() => _stop.Cancel();

    /// <summary>Asks, waits, kills; nothing is started again. Returns whether it went by itself.</summary>
    public async Task<bool> StopAsync(TimeSpan patience)
    {
        ExpectEnd();
        // One may be starting just now: then it is asked as soon as it is there.
        lock (_gate)
        {
            _asked = true;
            _child?.AskToStop();
        }
        var done = await Task.WhenAny(_ended.Task, Task.Delay(patience)) == _ended.Task;
        if (!done)
            _child?.Kill();
        await _ended.Task;
        return done;
    }

    /// <summary>Ends the child; the next one starts at once: how a changed configuration comes into force.</summary>
    public Task ReplaceAsync(TimeSpan patience)
    {
        _replacing = _child is { Exited.IsCompleted: false };
        return _replacing ? _child!.StopAsync(patience) : Task.CompletedTask;
    }

    public void Dispose() => _stop.Dispose();

    private ChildProcess? TryStart(out string? problem)
    {
        try
        {
            problem = null;
            return start();
        }
        catch (Win32Exception e)
        {
            problem = e.Message;
            return null;
        }
    }

    // Says what has failed, then waits as long as is due before the next try, unless there is to be none.
    private async Task<bool> GivesUpAsync(string what, bool limited, TimeSpan ran, TimeSpan pauseMin)
    {
        if (limited && rule.Limit?.Exceeded() is true)
        {
            Journal.Error(where, $"{what}: the last of too many failures in a short time, giving up; the lines above say why");
            return true;
        }
        // One that worked until it was killed is replaced at once.
        var pause = limited ? rule.NextPause(ran) : TimeSpan.Zero;
        pause = pause > pauseMin ? pause : pauseMin;
        Journal.Warn(where, $"{what}; starting the next one{(pause > TimeSpan.Zero ? $" in {pause.TotalMilliseconds:0} ms" : "")}");
        await Task.Delay(pause, rule.Time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return false;
    }

    private async Task AnnounceAsync(ChildProcess child)
    {
        if (await child.Ready)
            _ready.TrySetResult(true);
    }

    private static string Describe(int code) => code > 128 ? $"was ended by signal {code - 128}" : $"ended with code {code}";
}
