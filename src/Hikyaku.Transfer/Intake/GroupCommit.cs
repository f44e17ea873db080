using Hikyaku.Log;

namespace Hikyaku.Transfer.Intake;

/// <summary>One flush to the disk answers everybody who waited when it began.</summary>
internal sealed class GroupCommit(LogWriter log)
{
    private readonly Lock _lock = new();
    private Task _running = Task.CompletedTask;
    private Task? _next;

    /// <summary>Returns when everything appended before the call is on the disk.</summary>
    public Task CommitAsync(CancellationToken cancel)
    {
        lock (_lock)
        {
            // The running flush may have begun before our append; the one after it surely has not.
            _next ??= AfterAsync(_running);
            return _next.WaitAsync(cancel);
        }
    }

    private async Task AfterAsync(Task running)
    {
        await running.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        lock (_lock)
        {
            _running = _next!;
            _next = null;
        }

        log.Commit();
    }
}
