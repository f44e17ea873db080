using System.Text;

namespace Hikyaku.Transfer.Rules;

/// <summary>
/// Shell patterns over a path as opened. `*` and `?` do not cross a slash, `**` does. A pattern without a slash is compared
/// with the file name at any depth; one with a leading slash, or any other slash, with the whole path.
/// </summary>
public sealed class PathMatch
{
    private readonly byte[][] _patterns;

    public PathMatch(IReadOnlyList<string> patterns)
    {
        _patterns = [.. patterns.Select(static p => Encoding.UTF8.GetBytes(p.Contains('/', StringComparison.Ordinal) ? p.TrimStart('/') : "**/" + p))];
    }

    /// <summary>True when no pattern was given, or one matches.</summary>
    public bool Matches(ReadOnlySpan<byte> path)
    {
        foreach (var pattern in _patterns)
        {
            if (Matches(pattern, path))
                return true;
        }

        return _patterns.Length == 0;
    }

    private static bool Matches(ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> path)
    {
        // Backtracks to the last star only, and to the last double star when that fails: linear times a small factor.
        int p = 0, s = 0, star = -1, starAt = 0, deep = -1, deepAt = 0;
        while (true)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                if (p + 1 < pattern.Length && pattern[p + 1] == '*')
                {
                    p += 2;
                    // "**/" also stands for nothing at all.
                    if (p < pattern.Length && pattern[p] == '/')
                        p++;
                    deep = p;
                    deepAt = s;
                    star = -1;
                }
                else
                {
                    star = ++p;
                    starAt = s;
                }

                continue;
            }

            if (s == path.Length)
                return p == pattern.Length;

            if (p < pattern.Length && (pattern[p] == path[s] || (pattern[p] == '?' && path[s] != '/')))
            {
                p++;
                s++;
            }
            else if (star >= 0 && path[starAt] != '/')
            {
                p = star;
                s = ++starAt;
            }
            else if (deep >= 0)
            {
                // "**/" resumes at the next component, a bare "**" at the next byte.
                deepAt = pattern[deep - 1] == '/' ? NextComponent(path, deepAt) : deepAt + 1;
                if (deepAt > path.Length)
                    return false;
                p = deep;
                s = deepAt;
                star = -1;
            }
            else
            {
                return false;
            }
        }
    }

    private static int NextComponent(ReadOnlySpan<byte> path, int from)
    {
        var slash = path[from..].IndexOf((byte)'/');
        return slash < 0 ? path.Length + 1 : from + slash + 1;
    }
}
