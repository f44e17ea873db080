using System.Globalization;

namespace Hikyaku.Config;

/// <summary>Sizes (B, KiB, MiB, GiB) and durations (ms, s, m, h, d) as people write them.</summary>
internal static class Quantity
{
    private static readonly (string Unit, long Bytes)[] Sizes = [("B", 1), ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30)];

    private static readonly (string Unit, long Milliseconds)[] Durations = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

    // A hundred years: what is computed with times stays within the calendar.
    private const long LongestMilliseconds = 876_000L * 3_600_000;

    public static bool TryParseSize(string text, out long bytes) => TryParse(text, Sizes, out bytes);

    public static bool TryParseDuration(string text, out TimeSpan duration)
    {
        var ok = TryParse(text, Durations, out var milliseconds) && milliseconds <= LongestMilliseconds;
        duration = ok ? TimeSpan.FromMilliseconds(milliseconds) : default;
        return ok;
    }

    public static string Show(long bytes)
    {
        for (var i = Sizes.Length - 1; i >= 0; i--)
            if (bytes >= Sizes[i].Bytes)
                return (bytes / (double)Sizes[i].Bytes).ToString("0.#", CultureInfo.InvariantCulture) + " " + Sizes[i].Unit;
        return bytes.ToString(CultureInfo.InvariantCulture) + " B";
    }

    public static string Show(TimeSpan time) => time.TotalMilliseconds switch
    {
        < 1000 => $"{time.TotalMilliseconds:0} ms",
        < 60_000 => $"{time.TotalSeconds:0.#} s",
        < 3_600_000 => $"{time.TotalMinutes:0.#} min",
        <= 2 * 86_400_000 => $"{time.TotalHours:0.#} h",
        _ => $"{time.TotalDays:0.#} d",
    };

    private static bool TryParse(string text, (string Unit, long Factor)[] units, out long value)
    {
        value = 0;
        var digits = text.TakeWhile(char.IsAsciiDigit).Count();
        var unit = Array.Find(units, u => u.Unit == text[digits..].TrimStart(' '));
        if (digits is 0 or > 12 || unit.Unit is null)
            return false;
        var number = long.Parse(text.AsSpan(0, digits), CultureInfo.InvariantCulture);
        if (number is 0 || number > ((1L << 50) - 1) / unit.Factor)
            return false;
        value = number * unit.Factor;
        return true;
    }
}
