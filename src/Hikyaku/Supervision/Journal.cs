using System.Globalization;
using System.Text;

namespace Hikyaku.Supervision;

/// <summary>
/// What a running instance tells people: one line each on standard error, <c>time level where: what and what to do</c>.
/// Every line is one write(2), so that those of several processes do not mix.
/// </summary>
internal static class Journal
{
    private const int StandardError = 2;

    public static void Info(string where, string what) => Write("info ", where, what);

    public static void Warn(string where, string what) => Write("warn ", where, what);

    public static void Error(string where, string what) => Write("error", where, what);

    // Not through Console: it holds a copy of the descriptor it found at start, and a daemon changes its own later.
    private static unsafe void Write(string level, string where, string what)
    {
        var time = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        var bytes = Encoding.UTF8.GetBytes($"{time} {level} {where}: {what.ReplaceLineEndings(" ")}\n");
        fixed (byte* start = bytes)
            _ = Libc.Write(StandardError, start, (nuint)bytes.Length);
    }
}
