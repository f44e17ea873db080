using System.Text;

namespace Hikyaku.Config;

/// <summary>Writes nodes as the YAML that reads back as the same nodes.</summary>
internal static class NativeText
{
    private const int WidthMax = 120;

    public static string Write(WrittenMapping document)
    {
        var text = new StringBuilder();
        Write(text, document, "");
        return text.ToString();
    }

    private static void Write(StringBuilder text, WrittenMapping mapping, string indent)
    {
        foreach (var (key, value) in mapping.Entries)
        {
            text.Append(indent).Append(Scalar(key.Text)).Append(':');
            WriteValue(text, value, indent, key.Text.Length + 2);
        }
    }

    private static void WriteValue(StringBuilder text, WrittenNode value, string indent, int before)
    {
        var flow = Flow(value);
        if (value is WrittenText || IsFlat(value, 0, indent.Length + before + flow.Length))
            text.Append(' ').Append(flow).Append('\n');
        else if (value is WrittenMapping mapping)
            Write(text.Append('\n'), mapping, indent + "  ");
        else
        {
            text.Append('\n');
            foreach (var item in ((WrittenList)value).Items)
                WriteItem(text, item, indent + "  ");
        }
    }

    private static void WriteItem(StringBuilder text, WrittenNode item, string indent)
    {
        text.Append(indent).Append("- ");
        var flow = Flow(item);
        if (item is WrittenMapping mapping && !IsFlat(item, 0, indent.Length + 2 + flow.Length))
        {
            var start = text.Length;
            Write(text, mapping, indent + "  ");
            text.Remove(start, indent.Length + 2);
        }
        else
            text.Append(flow).Append('\n');
    }

    // In one line stands what has texts in it, and no more than one level of lists or mappings.
    private static bool IsFlat(WrittenNode node, int depth, int width) => node switch
    {
        WrittenText => true,
        WrittenList list => depth < 2 && width <= WidthMax && list.Items.All(i => IsFlat(i, depth + 1, 0)),
        WrittenMapping mapping => depth < 2 && width <= WidthMax && mapping.Entries.Count < 4 && mapping.Entries.All(e => IsFlat(e.Value, depth + 1, 0)),
        _ => false,
    };

    private static string Flow(WrittenNode node) => node switch
    {
        WrittenText text => Scalar(text.Text),
        WrittenList list => "[" + string.Join(", ", list.Items.Select(Flow)) + "]",
        WrittenMapping mapping => "{ " + string.Join(", ", mapping.Entries.Select(e => $"{Scalar(e.Key.Text)}: {Flow(e.Value)}")) + " }",
        _ => "",
    };

    private static string Scalar(string text)
    {
        if (text is not ("" or "null" or "~") && char.IsAsciiLetterOrDigit(text[0]) | text[0] is '/' or '.' or '_'
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '_' or '-' or '+') || IsHostPort(text))
            return text;
        var quoted = new StringBuilder("\"");
        foreach (var c in text)
            _ = c switch
            {
                '"' or '\\' => quoted.Append('\\').Append(c),
                '\n' => quoted.Append("\\n"),
                '\t' => quoted.Append("\\t"),
                < ' ' or '\x7f' or '\u0085' or '\u2028' or '\u2029' or '\ufeff' => quoted.Append("\\u").Append(((int)c).ToString("x4", System.Globalization.CultureInfo.InvariantCulture)),
                _ => quoted.Append(c),
            };
        return quoted.Append('"').ToString();
    }

    // A colon before a digit is no key.
    private static bool IsHostPort(string text) =>
        HostPort.TryParse(text, out var parsed) && text == parsed.ToString() && !text.StartsWith('[') && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or ':');
}
