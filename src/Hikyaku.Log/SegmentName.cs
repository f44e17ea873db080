using System.Globalization;

namespace Hikyaku.Log;

/// <summary>File names of segments: the first sequence in 20 digits and the state.</summary>
internal static class SegmentName
{
    // A segment in the making; renamed to .open once its header is complete.
    public const string Spare = "spare";

    public static string Open(ulong first) => first.ToString("D20", CultureInfo.InvariantCulture) + ".open";

    public static string Sealed(ulong first) => first.ToString("D20", CultureInfo.InvariantCulture) + ".sealed";

    public static bool TryParse(string name, out ulong first, out bool isSealed)
    {
        first = 0;
        isSealed = name.EndsWith(".sealed", StringComparison.Ordinal);
        if (name.Length != (isSealed ? 27 : 25) || !isSealed && !name.EndsWith(".open", StringComparison.Ordinal)) return false;
        return ulong.TryParse(name.AsSpan(0, 20), NumberStyles.None, CultureInfo.InvariantCulture, out first) && first > 0;
    }
}
