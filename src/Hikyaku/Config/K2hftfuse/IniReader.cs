using System.Text;

namespace Hikyaku.Config.K2hftfuse;

/// <summary>
/// K2HFTFUSE's INI files, to the nodes that its YAML files give: a section is a mapping, and sections or keys that stand there more
/// than once are lists. ALLOW and DENY are texts, quoted for an expression, or a list of an expression and what replaces the line.
/// </summary>
internal sealed class IniReader
{
    private const int IncludesMax = 32;

    private readonly Problems _problems;
    private readonly List<string> _files = [];
    private readonly List<(WrittenText Name, List<(WrittenText Key, WrittenNode Value)> Entries)> _sections = [];

    private IniReader(Problems problems) => _problems = problems;

    /// <summary>Whether one of K2HFTFUSE's sections stands in a line of its own, in brackets.</summary>
    public static bool Recognises(string text) =>
        text.Split('\n').Any(l => l.Trim() is ['[', .. var name, ']'] && K2hftfuseKeys.Sections.Contains(name.Trim(), StringComparer.Ordinal));

    /// <summary>Reads a text; what is wrong goes to <paramref name="problems"/>.</summary>
    /// <param name="path">Absolute path of the file, from whose folder INCLUDE is meant.</param>
    public static WrittenMapping Read(string text, string path, Problems problems)
    {
        var reader = new IniReader(problems);
        reader._files.Add(path);
        reader.ReadText(text, path, null);
        return new WrittenMapping(1, 1, [.. reader._sections.GroupBy(s => s.Name.Text, StringComparer.Ordinal).Select(g => (g.First().Name, Several(g.Key, g.Select(Mapping))))]);
    }

    private static WrittenNode Mapping((WrittenText Name, List<(WrittenText Key, WrittenNode Value)> Entries) section) =>
        new WrittenMapping(section.Name.Line, section.Name.Column,
            [.. section.Entries.GroupBy(e => e.Key.Text, StringComparer.Ordinal).Select(g => (g.First().Key, Several(g.Key, g.Select(e => e.Value))))]);

    // Patterns are a list, be there one or more.
    private static WrittenNode Several(string key, IEnumerable<WrittenNode> nodes) => List(nodes) is var list && list.Items.Count is 1 && !IsPattern(key) ? list.Items[0] : list;

    private static WrittenList List(IEnumerable<WrittenNode> nodes)
    {
        var all = nodes.ToList();
        return new WrittenList(all[0].Line, all[0].Column, all);
    }

    private static bool IsPattern(string key) => key is "ALLOW" or "DENY";

    // What an included file says stands, for messages, at the line that includes it.
    private void ReadText(string text, string path, WrittenNode? included)
    {
        var number = 0;
        foreach (var raw in text.Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line is "" || line[0] is '#')
                continue;
            var at = included ?? new WrittenText(number, raw.Length - raw.TrimStart().Length + 1, line, false);
            if (line[0] is '[')
            {
                if (line[^1] is ']')
                    _sections.Add((new WrittenText(at.Line, at.Column, line[1..^1].Trim(), false), []));
                else
                    _problems.Add(at, $"'{line}' is no section; expected [NAME]");
                continue;
            }
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            var key = (equals < 0 ? line : line[..equals]).Trim().ToUpperInvariant();
            var value = equals < 0 ? "" : line[(equals + 1)..].Trim();
            if (key is "INCLUDE")
                Include(value, path, at);
            else if (_sections.Count is 0)
                _problems.Add(at, $"'{key}' stands before any section; expected [NAME] first");
            else
                _sections[^1].Entries.Add((new WrittenText(at.Line, at.Column, key, false), IsPattern(key) ? Pattern(at, value) : Text(at, value)));
        }
    }

    private void Include(string value, string path, WrittenNode at)
    {
        var file = Path.GetFullPath(Unquoted(value), Path.GetDirectoryName(path)!);
        if (_files.Contains(file))
            _problems.Add(at, $"INCLUDE = {value}: this file is read already");
        else if (_files.Count > IncludesMax)
            _problems.Add(at, $"INCLUDE = {value}: more than {IncludesMax} files");
        else
        {
            _files.Add(file);
            try
            {
                ReadText(ConfigurationFile.ReadText(file, file), file, at);
            }
            catch (ConfigurationException e)
            {
                _problems.Add(at, $"INCLUDE = {value}: {e.Message}");
            }
        }
    }

    private static WrittenText Text(WrittenNode at, string value) => new(at.Line, at.Column, Unquoted(value), value.StartsWith('"'));

    // INFO, "expression", or "expression", "what the line becomes".
    private WrittenNode Pattern(WrittenNode at, string value)
    {
        var parts = new List<WrittenNode>();
        var rest = value;
        while (rest.StartsWith('"'))
        {
            var end = EndOfQuotes(rest);
            parts.Add(Text(at, rest[..end]));
            rest = rest[end..].TrimStart();
            if (!rest.StartsWith(','))
                break;
            rest = rest[1..].TrimStart();
        }
        if (parts.Count > 0 && rest is not "")
            _problems.Add(at, $"'{rest}' stands behind an expression; expected \"EXPRESSION\", or \"EXPRESSION\", \"REPLACEMENT\"");
        return parts.Count switch { 0 => Text(at, value), 1 => parts[0], _ => new WrittenList(at.Line, at.Column, parts) };
    }

    // Behind the quote that ends a value: the next one before a comma or the end.
    private static int EndOfQuotes(string text)
    {
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] is '\\')
                i++;
            else if (text[i] is '"' && text[(i + 1)..].TrimStart() is "" or [',', ..])
                return i + 1;
        }
        return text.Length;
    }

    private static string Unquoted(string value)
    {
        // Twice quoted, as the original wants it of expressions although it says otherwise.
        while (value.Length >= 2 && value[0] is '"' && value[^1] is '"')
            value = value[1..^1];
        return value;
    }
}
