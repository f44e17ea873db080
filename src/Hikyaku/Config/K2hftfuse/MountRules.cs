using Hikyaku.Transfer.Lines;

namespace Hikyaku.Config.K2hftfuse;

/// <summary>The section K2HFTFUSE: its rules for files and directories, as native routes.</summary>
internal sealed class MountRules
{
    private const string NoFile = "/dev/null";

    private readonly Findings _findings;
    private readonly Section _section;
    private readonly bool _quotesTell;
    private readonly List<Route> _routes = [];
    private readonly List<WrittenNode> _named = [];
    private readonly HashSet<string> _targets = new(StringComparer.Ordinal);
    private readonly string _folder;

    // Rules that do the same are one route: it costs as much as one.
    private sealed record Route(WrittenMapping What, List<WrittenText> Match, List<WrittenText> Except, string Name);

    private sealed record Treatment(bool Carried, bool All, WrittenNode? File, WrittenNode? Plugin);

    /// <param name="section">The section K2HFTFUSE.</param>
    /// <param name="quotesTell">See <see cref="Patterns"/>.</param>
    /// <param name="folder">From which the paths of local outputs are meant.</param>
    public MountRules(Section section, bool quotesTell, string folder, Findings findings)
    {
        _section = section;
        _quotesTell = quotesTell;
        _folder = folder;
        _findings = findings;
    }

    /// <summary>The routes; a directory's after those of files, which go before it.</summary>
    /// <param name="files">Sections K2HFTFUSE_RULE.</param>
    /// <param name="directories">Sections K2HFTFUSE_RULE_DIR.</param>
    /// <param name="forward">The native output to the servers.</param>
    /// <param name="except">Starts of paths that are not sent.</param>
    public WrittenNode Routes(IReadOnlyList<Section> files, IReadOnlyList<Section> directories, Func<WrittenNode> forward, IReadOnlyList<WrittenText> except)
    {
        var named = new List<WrittenText>();
        foreach (var rule in files)
        {
            if (rule.Require("TARGET", "a path below the mount point") is not WrittenText target)
                continue;
            var path = target.Text.Trim('/');
            if (!_targets.Add(path))
                _findings.Notice($"K2HFTFUSE_RULE: TARGET {path} is given twice; the first counts");
            else
            {
                named.Add(NativeNode.Text(target, "/" + Literal(path)));
                Add(rule, target, named[^1], [], "", forward, except);
            }
        }
        var folders = new HashSet<string>(StringComparer.Ordinal);
        foreach (var rule in directories)
        {
            var target = rule.Find("TARGET") as WrittenText ?? NativeNode.Text(rule.Node, "");
            var path = Literal(target.Text.Trim('/'));
            var prefix = path is "" ? "/" : $"/{path}/";
            if (folders.Add(prefix))
                Add(rule, target, NativeNode.Text(target, prefix + "*"), [.. named.Where(n => n.Text.StartsWith(prefix, StringComparison.Ordinal) && !n.Text.AsSpan(prefix.Length).Contains('/'))], "/{file}", forward, except);
            else
                _findings.Notice($"K2HFTFUSE_RULE_DIR: TARGET {prefix} is given twice; the first counts");
        }
        var names = new HashSet<string>(StringComparer.Ordinal);
        return NativeNode.List(_section.Node, _routes.Select(r => NativeNode.Mapping(r.What,
            [("name", NativeNode.Text(r.What, Unique(names, r.Name))), ("from", NativeNode.Text(r.What, K2hftfuseFile.MountName)), ("match", NativeNode.List(r.What, r.Match)),
                ("except", NativeNode.ListOrNone(r.What, r.Except)), .. r.What.Entries.Select(e => (e.Key.Text, (WrittenNode?)e.Value))])));
    }

    /// <summary>The files that any rule names, also one that carries nothing; after <see cref="Routes"/>.</summary>
    public WrittenNode Named => NativeNode.List(_section.Node, _named);

    private void Add(Section rule, WrittenText target, WrittenText match, List<WrittenText> except, string file, Func<WrittenNode> forward, IReadOnlyList<WrittenText> unsent)
    {
        _named.Add(match);
        var treatment = Read(rule, file);
        var binary = Findings.On(_section, "BINTRANS");
        var patterns = binary ? [] : Patterns.Read(rule, treatment.All ? "DENY" : "ALLOW", _quotesTell);
        var (carries, writes) = (treatment.Carried, treatment.File is not null || treatment.Plugin is not null);
        if (!carries && !writes)
            return;
        if (!binary && !treatment.All && patterns.Count is 0)
        {
            _findings.Notice($"{rule.Name}: no line of {target.Shown} passes, because DEFAULTALL is DENY (the default) and there is no ALLOW");
            return;
        }
        if (carries && writes && unsent.Count > 0)
        {
            // What is not sent is written all the same.
            Add(What(rule, treatment with { Carried = false }, patterns, binary, forward), match, except, target.Text);
            Add(What(rule, treatment with { File = null, Plugin = null }, patterns, binary, forward), match, [.. except, .. unsent], target.Text);
        }
        else
            Add(What(rule, treatment, patterns, binary, forward), match, carries ? [.. except, .. unsent] : except, target.Text);
    }

    private void Add(WrittenMapping what, WrittenText match, IReadOnlyList<WrittenText> except, string target)
    {
        var same = _routes.Find(r => r.Except.SequenceEqual(except) && NativeText.Write(r.What) == NativeText.Write(what));
        if (same is not null)
            same.Match.Add(match);
        else
            // The one route of a plain file has the name that it always had: a name is a position on disk.
            _routes.Add(new Route(what, [match], [.. except], what.Entries is [{ Key.Text: "to" }] ? K2hftfuseFile.MountName : Name(target)));
    }

    private Treatment Read(Section rule, string file)
    {
        var all = rule.Choice("DEFAULTALL", false, ("ALLOW", true), ("DENY", false), ("allow", true), ("deny", false));
        var plugin = rule.Find("PLUGIN");
        WrittenNode? output = null;
        if (rule.Find("OUTPUTFILE") is WrittenText { Text: not (NoFile or "") } written)
        {
            if (written.Text.StartsWith('/'))
                output = NativeNode.Text(written, file is "" && !written.Text.EndsWith('/') ? written.Text : written.Text.TrimEnd('/') + "/{file}");
            else
                _findings.Problems.Add(written, $"{rule.Path("OUTPUTFILE")} is {written.Shown}, a path in the mount itself; a rule cannot feed another file of the mount. Give an absolute path outside, and to the file's rule the patterns of both");
        }
        return new Treatment(Findings.On(rule, "TRUNS"), all, output, plugin);
    }

    private WrittenMapping What(Section rule, Treatment treatment, IReadOnlyList<WrittenNode> patterns, bool binary, Func<WrittenNode> forward)
    {
        var at = rule.Node;
        var lines = Findings.Number(_section, "TRANSLINECNT");
        var seconds = Findings.Number(_section, "TRANSTIMEUP");
        var expire = Findings.Number(_section, "EXPIRE");
        var limit = Findings.Number(_section, "BYTELIMIT");
        return NativeNode.Mapping(at,
            ("mode", binary ? NativeNode.Text(at, "message") : null),
            ("allow", treatment.All ? null : patterns is [WrittenMapping { Entries: [{ Key.Text: "regex" }] }] ? null : NativeNode.ListOrNone(at, [.. patterns])),
            ("deny", treatment.All ? NativeNode.ListOrNone(at, [.. patterns]) : null),
            // The original counts the line end and a zero byte; of a message only the latter. What is longer than any line is no limit.
            ("longest", limit is > 2 and < LineAssembler.LineBytesMax ? NativeNode.Number(_section.Find("BYTELIMIT")!, limit - (binary ? 1 : 2), "B") : null),
            ("expire", expire > 0 && treatment.Carried ? NativeNode.Number(_section.Find("EXPIRE")!, expire, "s") : null),
            ("batch", lines > 0 && seconds > 0 && treatment.Carried ? NativeNode.Mapping(at, ("lines", NativeNode.Number(at, lines)), ("time", NativeNode.Number(at, seconds, "s"))) : null),
            ("to", NativeNode.Mapping(at,
                ("forward", treatment.Carried ? forward() : null),
                ("file", treatment.Plugin is null && treatment.File is not null ? NativeNode.Mapping(at, ("path", Path(treatment.File))) : null),
                ("pipe", treatment.Plugin is null ? null : NativeNode.Mapping(at, ("command", treatment.Plugin), ("output", Path(treatment.File)))))));
    }

    private WrittenNode? Path(WrittenNode? file) => file is WrittenText text ? NativeNode.Path(text, text.Text, _folder) : null;

    // What stands for itself in a native pattern.
    private static string Literal(string path) => path.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("*", "\\*", StringComparison.Ordinal).Replace("?", "\\?", StringComparison.Ordinal);

    private static string Name(string target)
    {
        var name = string.Concat(target.Trim('/').Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' ? c : '-')).TrimStart('.', '-', '_');
        return name is "" ? "root" : name.Length > 48 ? name[^48..].TrimStart('.', '-', '_') : name;
    }

    private static string Unique(HashSet<string> names, string name)
    {
        var unique = name;
        for (var i = 2; !names.Add(unique); i++)
            unique = $"{name}-{i}";
        return unique;
    }
}
