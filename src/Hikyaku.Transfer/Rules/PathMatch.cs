using System.Text;

namespace Hikyaku.Transfer.Rules;

/// <summary>
/// Shell patterns over a path as opened. `*` and `?` do not cross a slash, `**` does. A pattern without a slash is compared
/// with the file name at any depth; one with a leading slash, or any other slash, with the whole path. A backslash makes the
/// byte behind it mean itself.
/// </summary>
public sealed class PathMatch
{
    // Above all bytes: what a backslash stood before is a byte.
    private const short Star = 256, Any = 257;

    private readonly short[][] _patterns;
    private readonly short[][] _except;

    public PathMatch(IReadOnlyList<string> patterns, IReadOnlyList<string>? except = null)
    {
        _patterns = [.. patterns.Select(Parse)];
        _except = [.. (except ?? []).Select(Parse)];
    }

    /// <summary>True when no pattern was given, or one matches, and none of the exceptions does.</summary>
    public bool Matches(ReadOnlySpan<byte> path) => (_patterns.Length == 0 || MatchesAny(_patterns, path)) && !MatchesAny(_except, path);

    private static short[] Parse(string pattern)
    {
        var bytes = Encoding.UTF8.GetBytes(pattern.Contains('/', StringComparison.Ordinal) ? pattern.TrimStart('/') : "**/" + pattern);
        var parsed = new List<short>(bytes.Length);
        for (var i = 0; i < bytes.Length; i++)
        {
            parsed.Add(bytes[i] switch
            {
                (byte)'*' => Star,
                (byte)'?' => Any,
                (byte)'\\' when i + 1 < bytes.Length => bytes[++i],
                var other => other,
            });
        }

        return [.. parsed];
    }

    private static bool MatchesAny(short[][] patterns, ReadOnlySpan<byte> path)
    {
        foreach (var pattern in patterns)
        {
            if (Matches(pattern, path))
                return true;
        }

        return false;
    }

    private static bool Matches(ReadOnlySpan<short> pattern, ReadOnlySpan<byte> path)
    {
        // Backtracks to the last star only, and to the last double star when that fails: linear times a small factor.
        int p = 0, s = 0, star = -1, starAt = 0, deep = -1, deepAt = 0;
        while (true)
        {
            if (p < pattern.Length && pattern[p] == Star)
            {
                if (p + 1 < pattern.Length && pattern[p + 1] == Star)
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

            if (p < pattern.Length && (pattern[p] == path[s] || (pattern[p] == Any && path[s] != '/')))
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
