namespace Hikyaku.Config;

/// <summary>Node names of CHMPX: <c>foo[0-9]</c>, <c>foo[1-5,8]</c>, <c>foo[a,b].example.com</c> stand for one name each.</summary>
internal static class NodeNames
{
    public const int NamesMax = 1024;

    private const int PatternMax = 1024;

    /// <summary>Expands a pattern; null when it cannot be understood, stands for more than <see cref="NamesMax"/> names, or is longer than 1024 characters.</summary>
    public static IReadOnlyList<string>? Expand(string pattern)
    {
        if (pattern.Length > PatternMax)
            return null;
        var open = pattern.IndexOf('[', StringComparison.Ordinal);
        if (open < 0)
            return pattern.Contains(']', StringComparison.Ordinal) || pattern is "" ? null : [pattern];
        var close = pattern.IndexOf(']', open);
        if (close < 0 || Expand("-" + pattern[(close + 1)..]) is not { } tails)
            return null;
        var names = new List<string>();
        foreach (var part in pattern[(open + 1)..close].Split(','))
            if (Alternatives(part.Trim()) is { } alternatives && names.Count + (alternatives.Count * tails.Count) <= NamesMax)
                names.AddRange(from a in alternatives from tail in tails select pattern[..open] + a + tail[1..]);
            else
                return null;
        return names;
    }

    private static List<string>? Alternatives(string part)
    {
        var dash = part.IndexOf('-', 1 <= part.Length ? 1 : 0);
        if (dash < 0)
            return part is "" ? null : [part];
        string first = part[..dash], last = part[(dash + 1)..];
        if (int.TryParse(first, out var from) && int.TryParse(last, out var to) && from <= to && to - from < NamesMax)
            // [01-10] keeps its leading zeros, as numbered hosts have them.
            return [.. Enumerable.Range(from, to - from + 1).Select(n => n.ToString(first.StartsWith('0') ? "D" + first.Length : "D"))];
        if (first.Length is 1 && last.Length is 1 && char.IsAsciiLetter(first[0]) && first[0] <= last[0])
            return [.. Enumerable.Range(first[0], last[0] - first[0] + 1).Select(c => ((char)c).ToString())];
        return null;
    }
}
