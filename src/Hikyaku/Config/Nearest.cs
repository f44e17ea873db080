namespace Hikyaku.Config;

/// <summary>The known word a mistyped one was probably meant to be.</summary>
internal static class Nearest
{
    private const int WordMax = 64;

    /// <summary>The closest of <paramref name="known"/> by edit distance, or null when none is close enough to be worth a guess.</summary>
    public static string? To(string word, IEnumerable<string> known)
    {
        // No key of ours is that long, and the comparison takes memory by the length of both.
        if (word.Length > WordMax)
            return null;
        var (best, distance) = known.Select(k => (k, Distance(word.ToLowerInvariant(), k.ToLowerInvariant()))).DefaultIfEmpty(("", int.MaxValue)).MinBy(x => x.Item2);
        return distance <= Math.Max(1, word.Length / 3) ? best : null;
    }

    // Damerau-Levenshtein with neighbours swapped once: "comimt" is one slip away from "commit".
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }
                var change = a[i - 1] == b[j - 1] ? 0 : 1;
                d[i, j] = Math.Min(Math.Min(d[i - 1, j] + 1, d[i, j - 1] + 1), d[i - 1, j - 1] + change);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        return d[a.Length, b.Length];
    }
}
