namespace Hikyaku.Config.K2hftfuse;

/// <summary>
/// ALLOW and DENY: a word that is looked for, or in double quotes a POSIX extended regular expression, for ALLOW with what the line
/// becomes; without that the line becomes what matched.
/// </summary>
internal static class Patterns
{
    private const string Special = "^$.[]()*+?{}|\\";

    /// <summary>The native patterns of all values of a key; empty: none, or in an ALLOW one that matches everything.</summary>
    /// <param name="rule">The rule's section.</param>
    /// <param name="key">ALLOW or DENY.</param>
    /// <param name="quotesTell">False in JSON, where every text stands in quotes: there one with a special character is an expression.</param>
    public static IReadOnlyList<WrittenNode> Read(Section rule, string key, bool quotesTell)
    {
        var patterns = new List<WrittenNode>();
        foreach (var item in Items(rule, key, quotesTell))
        {
            var parts = item is WrittenList list ? list.Items : [item];
            if (parts is not [WrittenText expression, ..] || parts.Count > 2 || (parts.Count is 2 && (parts[1] is not WrittenText || key is "DENY")))
                rule.Expect(item, key, key is "DENY" ? "a word, or \"EXPRESSION\"" : "a word, \"EXPRESSION\", or [\"EXPRESSION\", \"REPLACEMENT\"]");
            else
                patterns.Add(Read(expression, parts.Count is 2 ? (WrittenText)parts[1] : null, key, quotesTell));
        }
        return patterns;
    }

    private static WrittenMapping Read(WrittenText expression, WrittenText? line, string key, bool quotesTell)
    {
        var text = expression.Text;
        var marked = text.Length > 2 && text[0] is '"' && text[^1] is '"';
        if (marked)
            text = text[1..^1];
        if (text is "")
            return NativeNode.Mapping(expression, ("regex", NativeNode.Text(expression, ".*")));
        var isExpression = marked || line is not null || (quotesTell ? expression.Quoted : text.AsSpan().ContainsAny(Special));
        return isExpression
            ? NativeNode.Mapping(expression, ("posix", NativeNode.Text(expression, text)),
                ("line", key is "DENY" ? null : NativeNode.Text(line ?? expression, line is { Text: not "" } ? Unmarked(line.Text) : "$0")))
            : NativeNode.Mapping(expression, ("text", NativeNode.Text(expression, text)));
    }

    private static string Unmarked(string text) => text.Length > 1 && text[0] is '"' && text[^1] is '"' ? text[1..^1] : text;

    private static IReadOnlyList<WrittenNode> Items(Section rule, string key, bool quotesTell)
    {
        // An empty one is a value too: it matches everything.
        var node = rule.Entries.FirstOrDefault(e => e.Key == key).Value;
        if (node is not WrittenList list)
            return node is null ? [] : [node];
        // Two texts in one list may be two patterns, or one and what the line becomes, as the documentation writes a single one.
        if (key is "DENY" || list.Items is not [WrittenText first, WrittenText second] || !second.Quoted || !IsExpression(first, quotesTell))
            return list.Items;
        if (TakesUp(second.Text))
            return [list];
        if (!second.Text.AsSpan().ContainsAny(Special))
            rule.Expect(list, key, $"{second.Shown} in a list of its own: [[{first.Shown}, {second.Shown}]] if it is what the line becomes, [[{first.Shown}], [{second.Shown}]] if it is another pattern");
        return list.Items;
    }

    private static bool IsExpression(WrittenText text, bool quotesTell) => (!quotesTell || text.Quoted) && text.Text.AsSpan().ContainsAny(Special);

    private static bool TakesUp(string text)
    {
        for (var i = 0; i + 1 < text.Length; i++)
            if (text[i] is '$' && char.IsAsciiDigit(text[i + 1]))
                return true;
        return text.Contains('&', StringComparison.Ordinal) && !text.AsSpan().ContainsAny(Special);
    }
}
