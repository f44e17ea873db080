namespace Hikyaku.Transfer.Delivery;

internal static class BugExtensions
{
    /// <summary>A loop that nobody awaits must not end in silence: what it throws is unhandled and ends the process, which is started again.</summary>
    public static async void CrashOnBug(this Task loop) => await loop;
}
