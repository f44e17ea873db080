using System.Net;
using System.Text;

namespace Hikyaku.Config;

/// <summary>
/// K2HFTFUSE's own YAML files: the sending side (section K2HFTFUSE) and the collecting side (K2HFTFUSESVR), as far as they carry all
/// lines of named files. Everything else in them that would change what arrives is refused by name; what has no meaning here is named once.
/// </summary>
internal sealed class K2hftfuseFile
{
    /// <summary>The name of the one mount, and of its log.</summary>
    public const string MountName = "mount";

    private const int DefaultPort = 8020;
    private const string NoWrite = "/dev/null";

    private static readonly string[] TopKeys = ["GLOBAL", "SVRNODE", "SLVNODE", "K2HTPDTOR", "K2HFTFUSE", "K2HFTFUSESVR"];
    private static readonly string[] QueueKeys = ["K2HTYPE", "K2HFILE", "K2HFULLMAP", "K2HINIT", "K2HMASKBIT", "K2HCMASKBIT", "K2HMAXELE", "K2HPAGESIZE", "DTORTHREADCNT"];
    private static readonly string[] GlobalKeys =
    [
        "FILEVERSION", "DATE", "GROUP", "MODE", "DELIVERMODE", "CHMPXIDTYPE", "MAXCHMPX", "REPLICA", "MAXMQSERVER", "MAXMQCLIENT", "MQPERATTACH",
        "MAXQPERSERVERMQ", "MAXQPERCLIENTMQ", "MAXMQPERCLIENT", "MAXHISTLOG", "PORT", "CTLPORT", "SELFCTLPORT", "SELFCUK", "RWTIMEOUT", "RETRYCNT",
        "CONTIMEOUT", "MQRWTIMEOUT", "MQRETRYCNT", "MQACK", "SOCKTHREADCNT", "MQTHREADCNT", "MAXSOCKPOOL", "SOCKPOOLTIMEOUT", "DOMERGE", "AUTOMERGE",
        "MERGETIMEOUT", "SSL", "SSL_MIN_VER", "SSL_VERIFY_PEER", "CAPATH", "NSSDB_DIR", "SERVER_CERT", "SERVER_PRIKEY", "SLAVE_CERT", "SLAVE_PRIKEY",
        "K2HFULLMAP", "K2HMASKBIT", "K2HCMASKBIT", "K2HMAXELE",
    ];
    private static readonly string[] NodeKeys =
        ["NAME", "PORT", "CTLPORT", "SSL", "SSL_VERIFY_PEER", "CAPATH", "SERVER_CERT", "SERVER_PRIKEY", "SLAVE_CERT", "SLAVE_PRIKEY", "CUK", "ENDPOINTS", "CTLENDPOINTS", "FORWARD_PEERS", "REVERSE_PEERS", "CUSTOM_ID_SEED"];
    private static readonly string[] DeliveryKeys = ["K2HTPDTOR_BROADCAST", "K2HTPDTOR_CHMPXCONF", "K2HTPDTOR_EXCEPT_KEY", "K2HTPDTOR_FILE", "K2HTPDTOR_FILTER_TYPE"];
    private static readonly string[] SendKeys =
        [.. QueueKeys, "DTORCTP", "BINTRANS", "EXPIRE", "TRANSLINECNT", "TRANSTIMEUP", "BYTELIMIT", "K2HFTFUSE_RULE_DIR", "K2HFTFUSE_RULE"];
    private static readonly string[] RuleKeys = ["TARGET", "TRUNS", "OUTPUTFILE", "PLUGIN", "DEFAULTALL", "ALLOW", "DENY"];
    private static readonly string[] CollectKeys =
        [.. QueueKeys, "TYPE", "FILE_BASEDIR", "FILE_UNIFY", "FILE_TIMEFORM", "FORMAT", "PLUGIN", "BINTRANS", "TRANSCONF", "DTORCTP"];

    private static readonly string[] Understood = ["NAME", "PORT", "DELIVERMODE", "SSL", "SSL_VERIFY_PEER", "REPLICA"];

    private readonly Problems _problems;
    private readonly SortedDictionary<string, SortedSet<string>> _meaningless = new(StringComparer.Ordinal);

    private K2hftfuseFile(Problems problems) => _problems = problems;

    /// <summary>Whether a text is one of K2HFTFUSE's files rather than one of ours.</summary>
    public static bool Recognises(string text) =>
        text.Split('\n').Any(line => Array.Exists(TopKeys, k => line.AsSpan().TrimStart(" {\t'\"") is var l && l.StartsWith(k) && l[k.Length..].TrimStart("'\" ").StartsWith(":")));

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
            if (line[start] is '"' or '\'' || !line.AsSpan(start, next - start).Contains('['))
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

    /// <param name="mountPoint">The directory given on the command line: then the sending side is meant, otherwise the collecting side.</param>
    public static Settings Read(WrittenNode root, string file, string? mountPoint, string defaultState, Problems problems) =>
        new K2hftfuseFile(problems).Read(root, file, mountPoint, defaultState);

    private Settings Read(WrittenNode root, string file, string? mountPoint, string defaultState)
    {
        var top = new Section(root, "", _problems, TopKeys);
        var global = new Section(top.Find("GLOBAL") ?? new WrittenMapping(root.Line, root.Column, []), "GLOBAL", _problems, GlobalKeys);
        var port = Port(global) ?? DefaultPort;
        Require(global, "DELIVERMODE", "random");
        RequireOff(global, "SSL", "SSL_VERIFY_PEER");
        RequireAbsent(global, "CAPATH", "NSSDB_DIR", "SERVER_CERT", "SERVER_PRIKEY", "SLAVE_CERT", "SLAVE_PRIKEY");
        RequireZero(global, "REPLICA");
        if (top.Find("K2HTPDTOR") is { } delivery)
        {
            var section = new Section(delivery, "K2HTPDTOR", _problems, DeliveryKeys);
            RequireOff(section, "K2HTPDTOR_BROADCAST");
            RequireAbsent(section, DeliveryKeys[1..]);
        }
        if (top.Find("SLVNODE") is not null)
            Meaningless("which hosts may send is not checked", "SLVNODE");
        Meaningless("there is no CHMPX process, message queue or merge", [.. global.Entries.Select(e => e.Key).Where(k => !Understood.Contains(k, StringComparer.Ordinal) && !QueueKeys.Contains(k, StringComparer.Ordinal))]);
        MeaninglessQueue(global);

        var sends = top.Find("K2HFTFUSE");
        var collects = top.Find("K2HFTFUSESVR");
        var sender = sends is not null && (mountPoint is not null || collects is null);
        if (sends is null && mountPoint is not null)
            _problems.Add(root, "there is no section K2HFTFUSE, so nothing says what to mount; run this file with: hikyaku run -c FILE");
        else if (sends is null && collects is null)
            _problems.Add(root, "there is neither a section K2HFTFUSE (sending side) nor K2HFTFUSESVR (collecting side)");
        var route = sender ? ReadSender(sends!, ReadServers(top, port)) : collects is not null ? ReadCollector(collects) : null;
        return new Settings
        {
            File = file,
            State = defaultState,
            Host = Environment.MachineName,
            Mounts = sender ? [new MountSettings(MountName, mountPoint ?? "", KeepAll: false, LogPolicy.Default)] : [],
            Receive = sender || collects is null ? null : new ReceiveSettings(new HostPort(IPAddress.Any.ToString(), port), LogPolicy.Default),
            Routes = route is null ? [] : [route],
            Notices = _meaningless.Count is 0 ? [] :
                [$"{Path.GetFileName(file)}: these keys have no meaning here and are ignored: {string.Join("; ", _meaningless.Select(m => $"{string.Join(", ", m.Value)} ({m.Key})"))}"],
        };
    }

    private List<HostPort> ReadServers(Section top, int globalPort)
    {
        var servers = new List<HostPort>();
        foreach (var node in Items(top, "SVRNODE", "the receiving hosts: [{ NAME: HOST, PORT: NUMBER }]"))
        {
            var section = new Section(node, "SVRNODE", _problems, NodeKeys);
            RequireOff(section, "SSL", "SSL_VERIFY_PEER");
            Meaningless("there is no CHMPX process, message queue or merge", [.. section.Entries.Select(e => e.Key).Where(k => !Understood.Contains(k, StringComparer.Ordinal))]);
            if (section.Require("NAME", "a host name") is not { } written)
                continue;
            var port = Port(section) ?? globalPort;
            var names = written is WrittenText text ? NodeNames.Expand(text.Text) : null;
            if (names is null || !names.All(n => HostPort.TryParse(n, out _)))
                section.Expect(written, "NAME", "a host name, or a pattern such as foo[1-5].example.com or foo[a,b]");
            else
                servers.AddRange(names.Select(n => new HostPort(n, port)).Except(servers));
        }
        return servers;
    }

    private RouteSettings ReadSender(WrittenNode node, List<HostPort> servers)
    {
        var section = new Section(node, "K2HFTFUSE", _problems, SendKeys);
        RequireOff(section, "BINTRANS");
        RequireZero(section, "EXPIRE", "BYTELIMIT");
        RequireAbsent(section, "DTORCTP");
        MeaninglessQueue(section);
        Meaningless("lines that gather while others travel go together, without a timer", [.. section.Entries.Select(e => e.Key).Where(k => k is "TRANSLINECNT" or "TRANSTIMEUP")]);
        foreach (var rule in Items(section, "K2HFTFUSE_RULE_DIR", null))
            if (ReadRule(rule, "K2HFTFUSE_RULE_DIR") is { Carried: true } carried)
                NotSupported(carried.At, "K2HFTFUSE_RULE_DIR.TRUNS", "on");
        var targets = new List<string>();
        foreach (var rule in Items(section, "K2HFTFUSE_RULE", "the files to carry: [{ TARGET: FILE, TRUNS: on, DEFAULTALL: ALLOW }]"))
            if (ReadRule(rule, "K2HFTFUSE_RULE") is { Carried: true } carried && !targets.Exists(t => t == carried.Pattern))
                targets.Add(carried.Pattern);
        return new RouteSettings(MountName, [MountName], targets, new ForwardSettings([.. servers.Select(s => new ServerSettings(s))]), null);
    }

    private (bool Carried, string Pattern, WrittenNode At) ReadRule(WrittenNode node, string name)
    {
        var section = new Section(node, name, _problems, RuleKeys);
        var carried = On(section, "TRUNS");
        RequireAbsent(section, "PLUGIN", "ALLOW", "DENY");
        if (section.Find("OUTPUTFILE") is { } output and not WrittenText { Text: NoWrite })
            NotSupported(output, $"{name}.OUTPUTFILE", output.Shown);
        var all = section.Choice("DEFAULTALL", false, ("ALLOW", true), ("DENY", false));
        if (carried && !all)
            _problems.Add(section.Find("DEFAULTALL") ?? node, $"{name}.DEFAULTALL is DENY (the default), so no line of this rule would pass; only ALLOW is supported yet");
        var target = section.Require("TARGET", "a path below the mount point");
        if (carried && target is WrittenText path && path.Text.AsSpan().ContainsAny('*', '?'))
            _problems.Add(target, $"{name}.TARGET is {target.Shown}; a file name with * or ? in it is not supported yet");
        // A leading slash anchors the pattern at the mount point.
        return (carried, "/" + (target as WrittenText)?.Text.Trim('/'), section.Find("TRUNS") ?? node);
    }

    private RouteSettings ReadCollector(WrittenNode node)
    {
        var section = new Section(node, "K2HFTFUSESVR", _problems, CollectKeys);
        if (section.Find("TYPE") is { } type and not WrittenText { Text: "file" or "f" })
            NotSupported(type, "K2HFTFUSESVR.TYPE", type.Shown);
        RequireOff(section, "BINTRANS");
        RequireAbsent(section, "PLUGIN", "TRANSCONF", "DTORCTP");
        MeaninglessQueue(section);
        var folder = "";
        if (section.Require("FILE_BASEDIR", "the directory the lines are written below") is { } written)
        {
            if (written is WrittenText { Text: ['/', ..] } text && RealPath.IsPath(text.Text))
                folder = text.Text;
            else
                section.Expect(written, "FILE_BASEDIR", "an absolute path");
        }
        var format = section.Text("FORMAT", FileSettings.DefaultFormat);
        if (OutputFormat.CheckFormat(format) is { } wrongFormat)
            section.Expect(section.Find("FORMAT")!, "FORMAT", wrongFormat);
        var time = section.Text("FILE_TIMEFORM", FileSettings.DefaultTime);
        if (OutputFormat.CheckTime(time) is { } wrongTime)
            section.Expect(section.Find("FILE_TIMEFORM")!, "FILE_TIMEFORM", wrongTime);
        var unify = section.Value("FILE_UNIFY", "{path}", "a path", static (string t, out string v) => RealPath.IsPath(v = t)).TrimStart('/');
        return new RouteSettings(ReceiveSettings.Name, [ReceiveSettings.Name], [], null, new FileSettings(Path.GetFullPath(Path.Join(folder, unify)), format, time));
    }

    private List<WrittenNode> Items(Section section, string key, string? expected)
    {
        var node = expected is null ? section.Find(key) : section.Require(key, expected);
        if (node is null or WrittenList)
            return [.. (node as WrittenList)?.Items ?? []];
        if (node is WrittenMapping)
            return [node];
        section.Expect(node, key, expected ?? "a list of rules");
        return [];
    }

    private static int? Port(Section section) =>
        section.Find("PORT") is null ? null : section.Value("PORT", DefaultPort, "a port number", static (string t, out int v) => int.TryParse(t, out v) && v is > 0 and <= 65535);

    private static bool On(Section section, string key) =>
        section.Choice(key, false, ("on", true), ("off", false), ("yes", true), ("no", false), ("y", true), ("n", false), ("ON", true), ("OFF", false), ("YES", true), ("NO", false));

    private void NotSupported(WrittenNode at, string key, string value) => _problems.Add(at, $"{key} {value} is not supported yet");

    private void Require(Section section, string key, string only)
    {
        if (section.Find(key) is { } node && (node is not WrittenText text || !text.Text.Equals(only, StringComparison.OrdinalIgnoreCase)))
            NotSupported(node, section.Path(key), node.Shown);
    }

    private void RequireOff(Section section, params string[] keys)
    {
        foreach (var key in keys)
            if (On(section, key))
                NotSupported(section.Find(key)!, section.Path(key), section.Find(key)!.Shown);
    }

    private void RequireZero(Section section, params string[] keys)
    {
        foreach (var key in keys)
            Require(section, key, "0");
    }

    private void RequireAbsent(Section section, params string[] keys)
    {
        foreach (var key in keys)
            if (section.Find(key) is { } node)
                _problems.Add(node, $"{section.Path(key)} is not supported yet");
    }

    private void MeaninglessQueue(Section section) =>
        Meaningless("the queue is a log on disk that needs no sizing", [.. section.Entries.Select(e => e.Key).Where(k => QueueKeys.Contains(k, StringComparer.Ordinal))]);

    private void Meaningless(string why, params string[] keys)
    {
        if (keys.Length is 0)
            return;
        if (!_meaningless.TryGetValue(why, out var named))
            _meaningless.Add(why, named = new SortedSet<string>(StringComparer.Ordinal));
        named.UnionWith(keys);
    }
}
