using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Config;

/// <summary>The keys of a route that say what becomes of its lines.</summary>
internal sealed class RuleReader
{
    public static readonly string[] Keys = ["except", "mode", "allow", "deny", "rewrite", "longest", "expire", "batch"];
    public static readonly string[] PatternKeys = ["text", "regex", "posix"];
    public static readonly string[] AllowKeys = [.. PatternKeys, "line"];
    public static readonly string[] RewriteKeys = [.. PatternKeys, "with"];
    public static readonly string[] BatchKeys = ["lines", "time"];

    private const int BatchLinesMax = 1_000_000;
    private const string Pattern = "a regular expression in quotes, or { text: ... }, { regex: ... } or { posix: ... }";

    private static readonly TimeSpan BatchTimeMax = TimeSpan.FromHours(1);

    private readonly Section _route;
    private readonly Problems _problems;

    private RuleReader(Section route, Problems problems) => (_route, _problems) = (route, problems);

    /// <param name="except">What was read under that key.</param>
    public static RuleSettings Read(Section route, IReadOnlyList<string> except, Problems problems) => new RuleReader(route, problems).Read(except);

    /// <summary>What the rules mean, a line each.</summary>
    public static IEnumerable<string> Describe(RuleSettings rules)
    {
        if (rules.Except.Count > 0)
            yield return $"except {string.Join(' ', rules.Except)}";
        if (rules.IsMessage)
            yield return "each write is one message, byte for byte";
        foreach (var allow in rules.Allow)
            yield return $"lines with {Show(allow.Pattern)} pass{(allow.Line is null ? "" : $" and become '{allow.Line}'")}";
        foreach (var deny in rules.Deny)
            yield return $"lines with {Show(deny)} do not pass";
        foreach (var rewrite in rules.Rewrite)
            yield return $"{Show(rewrite.Pattern)} becomes '{rewrite.With}'";
        if (rules.Longest < int.MaxValue)
            yield return $"lines longer than {Quantity.Show(rules.Longest)} are not carried";
        if (rules.Expire is { } expire)
            yield return $"lines older than {Quantity.Show(expire)} are not carried";
        if (rules.Batch is { } batch)
            yield return $"waits for {(batch.Lines == int.MaxValue ? "a full chunk" : $"{batch.Lines} lines")}, at most {Quantity.Show(batch.Time)}";
    }

    private RuleSettings Read(IReadOnlyList<string> except) => new()
    {
        Except = except,
        IsMessage = _route.Choice("mode", false, ("line", false), ("message", true)),
        Allow = [.. Items("allow").Select(ReadAllow).OfType<AllowSettings>()],
        Deny = [.. Items("deny").Select(n => ReadPattern(n, _route.Path("deny"), PatternKeys)).OfType<PatternSettings>()],
        Rewrite = [.. Items("rewrite").Select(ReadRewrite).OfType<RewriteSettings>()],
        Longest = (int)_route.Value("longest", int.MaxValue, $"a size up to {Quantity.Show(LineAssembler.LineBytesMax)}, such as 200B or 8KiB",
            static (string t, out long v) => Quantity.TryParseSize(t, out v) && v <= LineAssembler.LineBytesMax),
        Expire = _route.Value<TimeSpan?>("expire", null, "a duration such as 30m or 48h", static (string t, out TimeSpan? v) =>
        {
            var ok = Quantity.TryParseDuration(t, out var time);
            v = time;
            return ok;
        }),
        Batch = _route.Find("batch") is { } batch ? ReadBatch(new Section(batch, _route.Path("batch"), _problems, BatchKeys)) : null,
    };

    private static string Show(PatternSettings pattern) => pattern.Kind switch
    {
        PatternKind.Text => $"'{pattern.Text}'",
        PatternKind.Posix => $"posix /{pattern.Text}/",
        _ => $"/{pattern.Text}/",
    };

    private IReadOnlyList<WrittenNode> Items(string key) => _route.Find(key) switch
    {
        null => [],
        WrittenList list => list.Items,
        var one => [one],
    };

    private AllowSettings? ReadAllow(WrittenNode node)
    {
        var name = _route.Path("allow");
        var line = node is WrittenMapping ? Template(new Section(node, name, new Problems(""), AllowKeys), "line") : null;
        return ReadPattern(node, name, AllowKeys, line) is { } pattern ? new AllowSettings(pattern, line?.Text) : null;
    }

    private RewriteSettings? ReadRewrite(WrittenNode node)
    {
        var name = _route.Path("rewrite");
        if (node is not WrittenMapping)
        {
            _problems.Add(node, $"{name} is {node.Shown}; expected {{ regex: PATTERN, with: TEXT }}");
            return null;
        }

        var with = Template(new Section(node, name, new Problems(""), RewriteKeys), "with");
        if (with is null)
            _problems.Add(node, $"{name}.with is missing; expected what every occurrence becomes ('' for nothing)");
        return ReadPattern(node, name, RewriteKeys, with) is { } pattern && with is not null ? new RewriteSettings(pattern, with.Text) : null;
    }

    private WrittenText? Template(Section section, string key)
    {
        switch (section.Find(key))
        {
            case null:
                return null;
            case WrittenText text when !text.Text.Contains('\n', StringComparison.Ordinal):
                return text;
            case var other:
                _problems.Add(other, $"{section.Path(key)} is {(other is WrittenText ? "a text with a line end in it" : other.Shown)}; expected a text without one");
                return null;
        }
    }

    private PatternSettings? ReadPattern(WrittenNode node, string name, string[] keys, WrittenText? template = null)
    {
        var (written, kind) = (node as WrittenText, PatternKind.Regex);
        if (node is WrittenMapping)
        {
            var section = new Section(node, name, _problems, keys);
            var given = PatternKeys.Where(k => section.Find(k) is not null).ToList();
            if (given.Count != 1)
            {
                _problems.Add(node, $"{name} has {(given.Count is 0 ? "no pattern" : "more than one pattern")}; expected one of {string.Join(", ", PatternKeys)}");
                return null;
            }

            written = section.Find(given[0]) as WrittenText;
            node = section.Find(given[0])!;
            (name, kind) = (section.Path(given[0]), given[0] switch { "text" => PatternKind.Text, "posix" => PatternKind.Posix, _ => PatternKind.Regex });
        }

        if (written is null || written.IsNothing)
        {
            _problems.Add(node, $"{name} is {node.Shown}; expected {Pattern}");
            return null;
        }

        var pattern = new PatternSettings(kind, written.Text);
        if (pattern.Problem() is { } wrong)
        {
            _problems.Add(written, $"{name} '{written.Text}' {wrong}");
            return null;
        }

        if (template is not null && pattern.Problem(template.Text) is { } unknown)
            _problems.Add(template, $"'{template.Text}': {unknown}");
        return pattern;
    }

    private BatchSettings ReadBatch(Section section)
    {
        var lines = section.Value("lines", int.MaxValue, $"a number of lines from 1 to {BatchLinesMax}",
            static (string t, out int v) => int.TryParse(t, System.Globalization.NumberStyles.None, null, out v) && v is > 0 and <= BatchLinesMax);
        var expected = $"how long lines may wait, at most {Quantity.Show(BatchTimeMax)}, such as 5s";
        section.Require("time", expected);
        var time = section.Value("time", TimeSpan.Zero, expected, static (string t, out TimeSpan v) => Quantity.TryParseDuration(t, out v) && v <= BatchTimeMax);
        return new BatchSettings(lines, time);
    }
}
