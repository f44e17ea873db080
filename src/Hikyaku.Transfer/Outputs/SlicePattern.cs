using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Hikyaku.Transfer.Outputs;

/// <summary>A file that a path with directives of time can have made. <see cref="Start"/> and <see cref="End"/>: which lines it is for.</summary>
public sealed record Slice(string Path, bool IsCompressed, DateTimeOffset Start, DateTimeOffset End, long Length, DateTimeOffset LastWrite);

/// <summary>
/// Finds the files that a path with directives of time can have made, and nothing else: every component is compared as a whole, what is
/// found must be a date, and no symbolic link is followed.
/// </summary>
public sealed class SlicePattern
{
    /// <summary>How names of files begin that nobody but us is to look at.</summary>
    public const string HiddenPrefix = ".hikyaku-";

    /// <summary>Before the name of a slice: what is to take its place, compressed.</summary>
    public const string WorkPrefix = HiddenPrefix + "work-";

    /// <summary>Before the name of a slice: its second name, while the compressed one takes its place.</summary>
    public const string SecondPrefix = HiddenPrefix + "second-";

    /// <summary>How the name of a compressed slice ends.</summary>
    public const string CompressedSuffix = ".gz";

    private const string Letters = "YmdHMj";

    private readonly string _root;
    private readonly List<Regex> _components = [];
    private readonly bool _lastSpansFolders;
    private readonly TimeZoneInfo _zone;

    /// <param name="path">One of which <see cref="Problem"/> has nothing to say.</param>
    public SlicePattern(string path, TimeZoneInfo zone)
    {
        _zone = zone;
        var parts = Expand(path).Split('/');
        var variable = Array.FindIndex(parts, static p => p.AsSpan().IndexOfAny('%', '{') >= 0);
        _root = variable <= 1 ? "/" : string.Join('/', parts[..variable]);
        for (var i = variable; i < parts.Length; i++)
        {
            // From a path of several components on, what is left is compared at once.
            _lastSpansFolders = parts[i].Contains("{path}", StringComparison.Ordinal);
            _components.Add(Compile(_lastSpansFolders ? string.Join('/', parts[i..]) : parts[i]));
            if (_lastSpansFolders)
                break;
        }
    }

    /// <summary>What keeps the slices of a path from being told apart by their names; null: nothing.</summary>
    public static string? Problem(string path)
    {
        var letters = new HashSet<char>();
        var expanded = Expand(path);
        for (var i = expanded.IndexOf('%', StringComparison.Ordinal); i >= 0 && i + 1 < expanded.Length; i = i + 2 > expanded.Length ? -1 : expanded.IndexOf('%', i + 2))
        {
            if (expanded[i + 1] != '%' && !Letters.Contains(expanded[i + 1], StringComparison.Ordinal))
                return $"only %Y %m %d %H %M %j and %F, not %{expanded[i + 1]}: of other names it cannot be said which time they are for";
            letters.Add(expanded[i + 1]);
        }

        letters.Remove('%');
        if (letters.Count == 0)
            return "directives of time in the path, such as %Y-%m-%d: a file that has none is never finished";
        var hasDay = letters.Contains('j') || (letters.Contains('m') && letters.Contains('d'));
        return !letters.Contains('Y') || (letters.Contains('d') && !letters.Contains('m')) || (letters.Contains('H') && !hasDay) || (letters.Contains('M') && !letters.Contains('H'))
            ? "all that the time needs, from the year (%Y) down: other names come again" : null;
    }

    /// <summary>All that are there now.</summary>
    /// <param name="hidden">Called for files that a compression left behind, with the file they belong to.</param>
    public IEnumerable<Slice> Find(Action<string> hidden) => Find(new DirectoryInfo(_root), 0, "", [], hidden);

    private static string Expand(string path) => path.Replace("%F", "%Y-%m-%d", StringComparison.Ordinal);

    private static Regex Compile(string text)
    {
        var pattern = new StringBuilder("\\A");
        var groups = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' && i + 1 < text.Length)
            {
                var letter = text[++i];
                pattern.Append(letter == '%' ? "%" : string.Create(CultureInfo.InvariantCulture, $"(?<{letter}{groups++}>[0-9]{{{(letter == 'Y' ? 4 : letter == 'j' ? 3 : 2)}}})"));
            }
            else if (text[i] == '{')
            {
                var end = text.IndexOf('}', i);
                pattern.Append(text[i..(end + 1)] is "{path}" ? ".+" : "[^/]+");
                i = end;
            }
            else
            {
                pattern.Append(Regex.Escape(text[i].ToString()));
            }
        }

        return new Regex(pattern.Append("\\z").ToString(), RegexOptions.CultureInvariant | RegexOptions.Singleline | RegexOptions.NonBacktracking);
    }

    private IEnumerable<Slice> Find(DirectoryInfo folder, int at, string below, Dictionary<char, int> values, Action<string> hidden)
    {
        var isLast = at == _components.Count - 1;
        FileSystemInfo[] entries;
        try
        {
            entries = folder.GetFileSystemInfos();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nothing was written there yet, or it is not ours.
            yield break;
        }

        foreach (var entry in entries)
        {
            if (entry.LinkTarget is not null)
                continue;
            var name = below + entry.Name;
            if (entry is DirectoryInfo directory)
            {
                if (isLast && _lastSpansFolders)
                {
                    foreach (var slice in Find(directory, at, name + "/", values, hidden))
                        yield return slice;
                }
                else if (!isLast && Match(at, name, values) is { } more)
                {
                    foreach (var slice in Find(directory, at + 1, "", more, hidden))
                        yield return slice;
                }
            }
            else if (isLast && entry.Name.StartsWith(HiddenPrefix, StringComparison.Ordinal))
            {
                // Which file it belongs to its beginning says alone: files may be called by any other name.
                var plain = entry.Name.StartsWith(WorkPrefix, StringComparison.Ordinal) ? entry.Name[WorkPrefix.Length..]
                    : entry.Name.StartsWith(SecondPrefix, StringComparison.Ordinal) ? entry.Name[SecondPrefix.Length..] : "";
                if (plain is not "" && Match(at, below + plain, values) is { } found && Span(found) is not null)
                    hidden(Path.Join(folder.FullName, plain));
            }
            else if (isLast && ToSlice((FileInfo)entry, at, name, values) is { } slice)
            {
                yield return slice;
            }
        }
    }

    private static string Plain(string name) => name.EndsWith(CompressedSuffix, StringComparison.Ordinal) ? name[..^CompressedSuffix.Length] : name;

    private Slice? ToSlice(FileInfo file, int at, string name, Dictionary<char, int> values)
    {
        var isCompressed = !ReferenceEquals(Plain(name), name) && Match(at, Plain(name), values) is not null;
        if (Match(at, isCompressed ? Plain(name) : name, values) is not { } found || Span(found) is not { } span)
            return null;
        try
        {
            return new Slice(file.FullName, isCompressed, span.Start, span.End, file.Length, new DateTimeOffset(file.LastWriteTimeUtc, TimeSpan.Zero));
        }
        catch (IOException)
        {
            // Somebody else has removed it since.
            return null;
        }
    }

    private Dictionary<char, int>? Match(int at, string name, Dictionary<char, int> values)
    {
        var match = _components[at].Match(name);
        if (!match.Success)
            return null;
        var more = new Dictionary<char, int>(values);
        foreach (Group group in match.Groups)
        {
            if (!Letters.Contains(group.Name[0], StringComparison.Ordinal))
                continue;
            var value = int.Parse(group.ValueSpan, CultureInfo.InvariantCulture);
            if (more.TryGetValue(group.Name[0], out var other) && other != value)
                return null;
            more[group.Name[0]] = value;
        }

        return more;
    }

    private (DateTimeOffset Start, DateTimeOffset End)? Span(Dictionary<char, int> values)
    {
        int Value(char letter, int otherwise) => values.GetValueOrDefault(letter, otherwise);
        var (year, month, day, hour, minute) = (Value('Y', 0), Value('m', 1), Value('d', 1), Value('H', 0), Value('M', 0));
        if (year is < 1 or > 9998 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month) || hour > 23 || minute > 59)
            return null;
        var start = new DateTime(year, month, day, hour, minute, 0, DateTimeKind.Unspecified);
        if (values.TryGetValue('j', out var dayOfYear))
        {
            var counted = new DateTime(year, 1, 1, hour, minute, 0, DateTimeKind.Unspecified).AddDays(dayOfYear - 1);
            if (dayOfYear < 1 || counted.Year != year || (values.ContainsKey('m') && counted.Month != month) || (values.ContainsKey('d') && counted.Day != day))
                return null;
            start = counted;
        }

        var end = values.ContainsKey('M') ? start.AddMinutes(1) : values.ContainsKey('H') ? start.AddHours(1)
            : values.ContainsKey('d') || values.ContainsKey('j') ? start.AddDays(1) : values.ContainsKey('m') ? start.AddMonths(1) : start.AddYears(1);
        // An hour that comes twice ends the second time.
        return (new DateTimeOffset(start, Offset(start, earliest: true)), new DateTimeOffset(end, Offset(end, earliest: false)));
    }

    private TimeSpan Offset(DateTime local, bool earliest)
    {
        if (!_zone.IsAmbiguousTime(local))
            return _zone.GetUtcOffset(local);
        var offsets = _zone.GetAmbiguousTimeOffsets(local);
        return earliest ? offsets.Max() : offsets.Min();
    }
}
