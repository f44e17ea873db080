using System.Runtime.InteropServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>How many files this process and all it starts may have open.</summary>
internal static partial class OpenFiles
{
    private const int Resource = 7; // RLIMIT_NOFILE
    private const ulong Wanted = 1 << 17;

    /// <summary>What was allowed; 0 before.</summary>
    public static ulong Most { get; private set; }

    /// <summary>As root many; otherwise as many as this user may have.</summary>
    public static unsafe void AllowMost()
    {
        var limit = stackalloc ulong[2];
        if (GetLimit(Resource, limit) != 0)
            return;
        var most = limit[1];
        (limit[0], limit[1]) = (Math.Max(most, Wanted), Math.Max(most, Wanted));
        if (SetLimit(Resource, limit) != 0)
        {
            (limit[0], limit[1]) = (most, most);
            _ = SetLimit(Resource, limit);
        }

        Most = limit[1];
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static unsafe partial int GetLimit(int resource, ulong* limit);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static unsafe partial int SetLimit(int resource, ulong* limit);
}
