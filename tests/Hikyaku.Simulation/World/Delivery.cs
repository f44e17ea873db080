using System.Text;
using System.Text.RegularExpressions;

namespace Hikyaku.Simulation;

/// <summary>
/// A promise: each accepted line of these programs stands exactly once in these files taken together, and in each file in the
/// order in which it was written. Files are given by how their paths begin, so that a rotation changes nothing.
/// </summary>
internal sealed partial class Delivery(string name, IReadOnlyList<(Machine Machine, string Prefix)> files, Func<Application, bool> from, bool isOrdered)
{
    public string Name => name;

    /// <summary>To so many of the machines each line goes.</summary>
    public int Copies { get; init; } = 1;

    /// <summary>What was given up at one machine may have arrived there too.</summary>
    public bool MayBeMore { get; init; }

    /// <summary>What is wrong, null if nothing is. Lines that are still to come are not wrong before the end.</summary>
    public string? Problem(IEnumerable<Application> applications, bool isEnd)
    {
        var mine = applications.Where(from).ToDictionary(static a => a.Name, StringComparer.Ordinal);
        var counts = mine.Values.ToDictionary(static a => a, static a => new int[a.Lines.Count]);
        var mayHaveFragments = mine.Values.Any(static a => a.Lines.Exists(static l => l.MayBeMissing || l.MayBeDouble));
        foreach (var (machine, prefix) in files)
        {
            foreach (var path in machine.Disk.Names.Keys.Where(p => p.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
            {
                if (ReadFile(machine, path, mine, counts, mayHaveFragments, isEnd) is { } problem)
                    return $"{name}: {machine.Name}:{path}: {problem}";
            }
        }

        foreach (var (application, count) in counts)
        {
            for (var i = 0; i < count.Length; i++)
            {
                var line = application.Lines[i];
                if (count[i] > Copies && !line.MayBeDouble && !MayBeMore)
                    return $"{name}: {count[i]} times: {Short(line.Text)}";
                if (isEnd && count[i] < Copies && line.Record != 0 && !line.MayBeMissing)
                    return $"{name}: missing: {Short(line.Text)} (record {line.Record} of {application.Machine.Name})";
            }
        }

        return null;
    }

    private string? ReadFile(Machine machine, string path, Dictionary<string, Application> mine, Dictionary<Application, int[]> counts, bool mayHaveFragments, bool isEnd)
    {
        var content = machine.Disk.Names[path].Content;
        var last = new Dictionary<Application, int>();
        var start = 0;
        while (start < content.Length)
        {
            var end = content[start..].IndexOf((byte)'\n');
            // What has no end yet is being written; at the end of all nothing is.
            if (end < 0 && !isEnd)
                break;
            if (end < 0)
                end = content.Length - start;
            var text = Encoding.UTF8.GetString(content.Slice(start, end));
            start += end + 1;
            var match = Form().Match(text);
            if (!match.Success || !mine.TryGetValue(match.Groups[1].Value, out var application)
                || int.Parse(match.Groups[2].ValueSpan, System.Globalization.CultureInfo.InvariantCulture) is var number && number >= application.Lines.Count
                || application.Lines[number] is var line && !string.Equals(line.Text, match.Value, StringComparison.Ordinal))
            {
                // A page of which nothing reached the disk, of a line that was not promised.
                if (mayHaveFragments && text.Contains('\0', StringComparison.Ordinal))
                    continue;
                // Down to the newline alone, which may have been a write of its own.
                if (mayHaveFragments && mine.Values.Any(a => a.Lines.Exists(l => (l.MayBeMissing || l.MayBeDouble) && l.Text.Contains(text, StringComparison.Ordinal))))
                    continue;
                return $"nobody wrote at byte {start - end - 1}: {Short(text)}";
            }

            counts[application][number]++;
            if (isOrdered && last.TryGetValue(application, out var before) && number <= before && !line.MayBeDouble)
                return $"after line {before} of {application.Name} stands {Short(text)}";
            last[application] = number;
        }

        return null;
    }

    private static string Short(string text) => text.Length <= 60 ? text : text[..40] + "..." + text[^15..];

    [GeneratedRegex("^(a[0-9]w[0-9]):([0-9]+):.*#$")]
    private static partial Regex Form();
}
