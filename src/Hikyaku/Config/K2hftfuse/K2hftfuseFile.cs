using System.Text;

namespace Hikyaku.Config.K2hftfuse;

/// <summary>
/// K2HFTFUSE's own files, in YAML, JSON and INI: the sending side (section K2HFTFUSE) and the collecting side (K2HFTFUSESVR). Each is
/// made into a native configuration, and means what that means; docs/K2HFTFUSE.md has every key.
/// </summary>
internal sealed class K2hftfuseFile
{
    /// <summary>The name of the one mount, and of its log.</summary>
    public const string MountName = "mount";

    private readonly Findings _findings;
    private readonly string _file;
    private readonly string _folder;
    private readonly bool _quotesTell;

    private K2hftfuseFile(string file, bool quotesTell, Problems problems) =>
        (_findings, _file, _folder, _quotesTell) = (new Findings(problems), file, Path.GetDirectoryName(file)!, quotesTell);

    /// <summary>Whether a text is one of K2HFTFUSE's files rather than one of ours.</summary>
    public static bool Recognises(string text) => IniReader.Recognises(text)
        || text.Split('\n').Any(line => Array.Exists(K2hftfuseKeys.Sections, k => line.AsSpan().TrimStart(" {\t'\"") is var l && l.StartsWith(k) && l[k.Length..].TrimStart("'\" ").StartsWith(":")));

    /// <summary>The native configuration that means the same, and what is to be said of it; null when it cannot be read.</summary>
    /// <param name="text">What stands in the file.</param>
    /// <param name="file">Absolute path of the file; what it names is meant from its folder.</param>
    /// <param name="mountPoint">The directory given on the command line: then the sending side is meant, otherwise the collecting side if there is one.</param>
    public static WrittenMapping? Convert(string text, string file, string? mountPoint, Problems problems, out IReadOnlyList<string> notices)
    {
        notices = [];
        if (Read(text, file, problems, out var quotesTell) is not { } root)
            return null;
        var conversion = new K2hftfuseFile(file, quotesTell, problems);
        var native = conversion.Convert(root, mountPoint);
        notices = conversion._findings.Notices(Path.GetFileName(file));
        return native;
    }

    private static WrittenMapping? Read(string text, string file, Problems problems, out bool quotesTell)
    {
        quotesTell = true;
        if (IniReader.Recognises(text))
            return IniReader.Read(text, file, problems);
        var isJson = text.Split('\n').Select(l => l.Trim()).FirstOrDefault(l => l is not "" && l[0] is not '#') is ['{', ..];
        quotesTell = !isJson;
        // Tabs are no indentation in YAML, and mean nothing in JSON.
        var root = YamlReader.Read(isJson ? text.Replace('\t', ' ') : FlowText.Quote(text), problems);
        if (root is not null and not WrittenMapping && !problems.Any)
            problems.Add(root, $"the file is {root.Shown}; expected the sections {string.Join(", ", K2hftfuseKeys.Sections)}");
        return root as WrittenMapping;
    }

    private WrittenMapping Convert(WrittenMapping root, string? mountPoint)
    {
        var top = new Section(root, "", _findings.Problems, K2hftfuseKeys.Sections);
        var sends = top.Find("K2HFTFUSE");
        var collects = top.Find("K2HFTFUSESVR");
        if (sends is null && mountPoint is not null)
            _findings.Problems.Add(root, "there is no section K2HFTFUSE, so nothing says what to mount; run this file with: hikyaku run -c FILE");
        else if (sends is null && collects is null)
            _findings.Problems.Add(root, "there is neither a section K2HFTFUSE (sending side) nor K2HFTFUSESVR (collecting side)");
        if (_findings.Problems.Any)
            return root;
        var transport = new Transport(root, _folder, _findings);
        return sends is not null && (mountPoint is not null || collects is null) ? Sender(top, sends, transport, mountPoint) : Collector(collects!, transport);
    }

    private WrittenMapping Sender(Section top, WrittenNode sends, Transport transport, string? mountPoint)
    {
        var section = _findings.Section(sends, "K2HFTFUSE");
        var delivery = _findings.Section(top.Find("K2HTPDTOR") ?? NativeNode.Mapping(sends), "K2HTPDTOR");
        RefusePlugin(section);
        var broadcast = Findings.On(delivery, "K2HTPDTOR_BROADCAST");
        var servers = Findings.Text(delivery, "K2HTPDTOR_CHMPXCONF") is { } other ? Other(other, delivery.Path("K2HTPDTOR_CHMPXCONF")) : transport;
        WrittenNode? forward = null;
        var except = (delivery.Texts("K2HTPDTOR_EXCEPT_KEY", "the start of a path") ?? []).Select(t => NativeNode.Text(t, "/" + MountRules.Literal(t.Text.TrimStart('/')) + "**")).ToList();
        // In INI files the rules are sections beside K2HFTFUSE.
        var files = _findings.Sections(section.Find("K2HFTFUSE_RULE") ?? top.Find("K2HFTFUSE_RULE"), "K2HFTFUSE_RULE");
        var directories = _findings.Sections(section.Find("K2HFTFUSE_RULE_DIR") ?? top.Find("K2HFTFUSE_RULE_DIR"), "K2HFTFUSE_RULE_DIR");
        if (files.Count is 0 && directories.Count is 0)
            _findings.Problems.Add(sends, "neither K2HFTFUSE_RULE nor K2HFTFUSE_RULE_DIR says which files to carry: [{ TARGET: FILE, TRUNS: on, DEFAULTALL: ALLOW }]");
        var rules = new MountRules(section, _quotesTell, _folder, _findings);
        var routes = rules.Routes(files, directories, () => forward ??= servers?.Sender(broadcast) ?? sends, except);
        return NativeNode.Mapping(sends,
            ("mounts", NativeNode.Mapping(sends, (MountName, NativeNode.Mapping(sends, ("at", mountPoint is null ? null : NativeNode.Text(sends, mountPoint)), ("keep", NativeNode.Text(sends, "none")), ("only", rules.Named))))),
            ("routes", routes));
    }

    private WrittenMapping Collector(WrittenNode collects, Transport transport)
    {
        var section = _findings.Section(collects, "K2HFTFUSESVR");
        RefusePlugin(section);
        var (writes, relays) = section.Choice("TYPE", (true, false),
            ("file", (true, false)), ("f", (true, false)), ("trans", (false, true)), ("transfer", (false, true)), ("t", (false, true)), ("both", (true, true)), ("b", (true, true)));
        WrittenNode? path = null;
        if (writes && section.Require("FILE_BASEDIR", "the directory the lines are written below") is { } folder)
        {
            if (folder is WrittenText { Text: ['/', ..] } text && RealPath.IsPath(text.Text))
            {
                var unify = section.Value("FILE_UNIFY", "", "a path below FILE_BASEDIR", static (string t, out string v) => RealPath.IsPath(v = t)).TrimStart('/');
                path = NativeNode.Path(section.Find("FILE_UNIFY") ?? text, Path.Join(text.Text, unify is "" ? "{path}" : unify), "/");
            }
            else
                section.Expect(folder, "FILE_BASEDIR", "an absolute path");
        }
        WrittenNode? forward = null;
        if (relays && (section.Find("TRANSCONF") ?? FromEnvironment(collects) ?? section.Require("TRANSCONF", "the file with the sections GLOBAL and SVRNODE of the next hosts")) is WrittenText other)
            forward = Other(other, section.Path("TRANSCONF"))?.Sender(broadcast: false);
        var format = Format(section);
        var time = Findings.Text(section, "FILE_TIMEFORM");
        var plugin = Findings.Text(section, "PLUGIN");
        return NativeNode.Mapping(collects,
            ("receive", transport.Receiver()),
            ("routes", NativeNode.List(collects,
            [
                NativeNode.Mapping(collects,
                    ("from", NativeNode.Text(collects, ReceiveSettings.Name)),
                    ("to", NativeNode.Mapping(collects,
                        ("forward", forward),
                        ("file", path is null || plugin is not null ? null : NativeNode.Mapping(collects, ("path", path), ("format", format), ("time", time))),
                        ("pipe", path is null || plugin is null ? null : NativeNode.Mapping(collects, ("command", plugin), ("format", format), ("time", time), ("output", path)))))),
            ])));
    }

    // Without a layout there is no time at all where the format asks for it.
    private static WrittenNode? Format(Section section) =>
        Findings.Text(section, "FORMAT") is { } format && section.Find("FILE_TIMEFORM") is null && format.Text.Contains("%T", StringComparison.Ordinal)
            ? NativeNode.Text(format, WithoutTime(format.Text)) : section.Find("FORMAT");

    private static string WithoutTime(string format)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            var isPair = format[i] is '%' or '\\' && i + 1 < format.Length;
            if (!(isPair && format.AsSpan(i, 2) is "%T"))
                text.Append(format, i, isPair ? 2 : 1);
            i += isPair ? 1 : 0;
        }
        return text.ToString();
    }

    private static WrittenText? FromEnvironment(WrittenNode at) =>
        Environment.GetEnvironmentVariable("CHMCONFFILE") is { Length: > 0 } file ? NativeNode.Text(at, Path.GetFullPath(file)) : null;

    private void RefusePlugin(Section section)
    {
        if (section.Find("DTORCTP") is WrittenText library && !library.Text.Contains("k2htpdtor", StringComparison.Ordinal))
            _findings.Problems.Add(library, $"{section.Path("DTORCTP")} is {library.Shown}; a transaction plug-in of one's own cannot be loaded: a program that reads lines can take its place (PLUGIN, or 'pipe' in the native configuration)");
    }

    private Transport? Other(WrittenText name, string key)
    {
        var path = Path.GetFullPath(name.Text, _folder);
        // What is wrong there stands in that file.
        var problems = new Problems(path);
        try
        {
            var transport = Read(ConfigurationFile.ReadText(path, path), path, problems, out _) is { } root ? new Transport(root, Path.GetDirectoryName(path)!, new Findings(problems)) : null;
            _ = transport?.Sender(broadcast: false);
            problems.ThrowIfAny();
            return transport;
        }
        catch (ConfigurationException e)
        {
            foreach (var message in e.Messages)
                _findings.Problems.Add(name, $"{key}: {message}");
            return null;
        }
    }
}
