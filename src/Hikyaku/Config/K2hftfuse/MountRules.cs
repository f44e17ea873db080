using System.Security.Cryptography;
using System.Text;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Config.K2hftfuse;

/// <summary>The section K2HFTFUSE: its rules for files and directories, as native routes.</summary>
internal sealed class MountRules
{
    private const string NoFile = "/dev/null";
    private const int NameMax = 48;

    private readonly Findings _findings;
    private readonly Section _section;
    private readonly bool _quotesTell;
    private readonly List<Route> _routes = [];
    private readonly List<WrittenNode> _named = [];
    private readonly HashSet<string> _targets = new(StringComparer.Ordinal);
    private readonly string _folder;

    // A name is a position on disk: it depends on the rule's own target alone. Only files that are just sent share a route, and so a connection.
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
            if (rule.Require("TARGET", "a path below the mount point") is null || Findings.Text(rule, "TARGET") is not { } target)
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
            var target = Findings.Text(rule, "TARGET") ?? NativeNode.Text(rule.Node, "");
            var path = Literal(target.Text.Trim('/'));
            var prefix = path is "" ? "/" : $"/{path}/";
            if (folders.Add(prefix))
                Add(rule, target, NativeNode.Text(target, prefix + "*"), [.. named.Where(n => n.Text.StartsWith(prefix, StringComparison.Ordinal) && !n.Text.AsSpan(prefix.Length).Contains('/'))], "/{file}", forward, except);
            else
                _findings.Notice($"K2HFTFUSE_RULE_DIR: TARGET {prefix} is given twice; the first counts");
        }
        return NativeNode.List(_section.Node, _routes.Select(r => NativeNode.Mapping(r.What,
            [("name", NativeNode.Text(r.What, r.Name)), ("from", NativeNode.Text(r.What, K2hftfuseFile.MountName)), ("match", NativeNode.List(r.What, r.Match)),
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
        var what = What(rule, treatment, patterns, binary, forward);
        var isPlain = file is "" && !writes && !what.Entries.Any(e => e.Key.Text is "allow" or "deny");
        var name = isPlain ? K2hftfuseFile.MountName : Name(target.Text) + (file is "" ? "" : "-dir");
        if (carries && writes && unsent.Count > 0)
        {
            // What is not sent is written all the same.
            _routes.Add(new Route(What(rule, treatment with { Carried = false }, patterns, binary, forward), [match], except, name + "-local"));
            _routes.Add(new Route(What(rule, treatment with { File = null, Plugin = null }, patterns, binary, forward), [match], [.. except, .. unsent], name));
        }
        else if (isPlain && _routes.Find(r => r.Name == name) is { } plain)
            plain.Match.Add(match);
        else
            _routes.Add(new Route(what, [match], carries ? [.. except, .. unsent] : except, name));
    }

    private Treatment Read(Section rule, string file)
    {
        var all = rule.Choice("DEFAULTALL", false, ("ALLOW", true), ("DENY", false), ("allow", true), ("deny", false));
        var plugin = Findings.Text(rule, "PLUGIN");
        WrittenNode? output = null;
        if (Findings.Text(rule, "OUTPUTFILE") is { Text: not (NoFile or "") } written)
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

    /// <summary>What stands for itself in a native pattern.</summary>
    public static string Literal(string path) => path.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("*", "\\*", StringComparison.Ordinal).Replace("?", "\\?", StringComparison.Ordinal);

    private static string Name(string target)
    {
        var path = target.Trim('/');
        if (path is "")
            return "root";
        var wanted = path.Replace("/", "--", StringComparison.Ordinal);
        var name = string.Concat(wanted.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' ? c : '-')).TrimStart('.', '-', '_');
        if (name == wanted && name.Length <= NameMax)
            return name;
        // Whatever characters it has, and how many: no two targets have the same.
        return $"{name[..Math.Min(name.Length, NameMax)]}.{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(path)).AsSpan(0, 4))}".TrimStart('.');
    }
}
