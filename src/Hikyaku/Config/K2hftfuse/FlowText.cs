using System.Text;

namespace Hikyaku.Config.K2hftfuse;

/// <summary>YAML as K2HFTFUSE's users write it, made into what a YAML reader takes.</summary>
internal static class FlowText
{
    /// <summary>
    /// Host names such as foo[0-9] stand unquoted inside flow mappings in K2HFTFUSE's files, which YAML does not allow. They are quoted
    /// here, within their line, so that every place in a message stays right.
    /// </summary>
    public static string Quote(string text) => string.Join('\n', text.Split('\n').Select(QuoteLine));

    private static string QuoteLine(string line)
    {
        var quoted = new StringBuilder();
        var (done, next) = (0, 0);
        var comment = line.IndexOf('#', StringComparison.Ordinal);
        for (int colon; (colon = line.IndexOf(": ", next, StringComparison.Ordinal)) >= 0 && (comment < 0 || colon < comment);)
        {
            var start = colon + 2;
            while (start < line.Length && line[start] is ' ')
                start++;
            next = start;
            if (start == line.Length || line[start] is '[' or '{' or '#')
                continue;
            // What stands in quotes, or gets them here, holds no further values.
            next = line[start] is '"' or '\'' ? EndOfQuotes(line, start) : EndOfValue(line, start);
            // Of a pattern quotes change the meaning.
            if (line[start] is '"' or '\'' || !line.AsSpan(start, next - start).Contains('[') || line.AsSpan(0, colon).TrimEnd() is var key && (key.EndsWith("ALLOW") || key.EndsWith("DENY")))
                continue;
            quoted.Append(line, done, start - done).Append('\'').Append(line[start..next].Replace("'", "''", StringComparison.Ordinal)).Append('\'');
            done = next;
        }
        return done == 0 ? line : quoted.Append(line, done, line.Length - done).ToString();
    }

    private static int EndOfQuotes(string line, int start)
    {
        for (var at = start + 1; at < line.Length; at++)
        {
            if (line[at] is '\\' && line[start] is '"')
                at++;
            else if (line[at] == line[start])
                return at + 1;
        }
        return line.Length;
    }

    private static int EndOfValue(string line, int start)
    {
        var depth = 0;
        var end = start;
        for (; end < line.Length && line[end] is not '\r' && !(depth is 0 && line[end] is ',' or '}' or ']') && !(line[end] is '#' && line[end - 1] is ' '); end++)
            depth += line[end] switch { '[' => 1, ']' => -1, _ => 0 };
        return start + line.AsSpan(start, end - start).TrimEnd().Length;
    }
}
