namespace Hikyaku.Transfer.Delivery;

internal static class BugExtensions
{
    /// <summary>A loop that nobody awaits must not end in silence: a bug in it ends the process, which is started again.</summary>
    public static void CrashOnBug(this Task loop) => _ = loop.ContinueWith(
        static ended => Environment.FailFast("a loop of the transfer ended by a bug", ended.Exception),
        CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
}
