using System.Net;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Config;

/// <summary>Hikyaku's own configuration: from what is written to what is meant.</summary>
internal sealed class NativeFile
{
    public static readonly string[] TopKeys = ["state", "host", "mounts", "receive", "routes"];
    public static readonly string[] MountKeys = ["at", "keep", "only", "unmounted", "passthrough", "commit", "quota", "when_full"];
    public static readonly string[] ReceiveKeys = ["forward", "commit", "quota", "when_full"];
    public static readonly string[] ListenKeys = ["listen", .. SecurityReader.AdmissionKeys];
    public static readonly string[] CommitKeys = ["interval"];
    public static readonly string[] RouteKeys = ["name", "from", "match", .. RuleReader.Keys, "filter", "to"];
    public static readonly string[] OutputKeys = ["forward", "file", "pipe"];

    private const string Outputs = "forward, file or pipe, or several of them";
    private const long QuotaBytesMin = 4L << 20;

    // The largest chunk of another node, 12 MiB, must fit.
    private const long ReceiveQuotaBytesMin = 16L << 20;

    private readonly Problems _problems;
    private readonly string _folder;
    private bool _mayLackMountPoint;
    private readonly List<string> _notices = [];
    private readonly List<(string Path, string Name, WrittenNode At)> _outputs = [];

    private readonly SecurityReader _security;
    private readonly OutputReader _onThisMachine;

    private NativeFile(string file, bool checksFiles, Problems problems)
    {
        (_folder, _problems) = (Path.GetDirectoryName(file)!, problems);
        _security = new SecurityReader(file, checksFiles, problems, _notices);
        _onThisMachine = new OutputReader(problems, FullPath, (path, name, at) => _outputs.Add((path, name, at)));
    }

    /// <summary>Reads a native file; what is wrong goes to <paramref name="problems"/>, and the result is then not to be used.</summary>
    /// <param name="defaultState">The state directory when the file names none.</param>
    /// <param name="checksFiles">Whether certificates must be usable now.</param>
    /// <param name="mayLackMountPoint">The one mount is where a command line says, and none was given.</param>
    public static Settings Read(WrittenNode root, string file, string defaultState, bool checksFiles, Problems problems, bool mayLackMountPoint = false) =>
        new NativeFile(file, checksFiles, problems) { _mayLackMountPoint = mayLackMountPoint }.Read(root, file, defaultState);

    private Settings Read(WrittenNode root, string file, string defaultState)
    {
        var top = new Section(root, "", _problems, TopKeys);
        var mounts = top.Find("mounts") is { } m ? ReadMounts(m) : [];
        var receive = top.Find("receive") is { } r ? ReadReceive(r) : null;
        if (root is WrittenMapping && top.Find("mounts") is null && receive is null)
            _problems.Add(root, "nothing comes in: expected mounts, or receive, or both");
        var intakes = mounts.Select(x => x.Name).ToList();
        if (receive is not null)
            intakes.Add(ReceiveSettings.Name);
        var routes = top.Find("routes") is { } written ? ReadRoutes(written, intakes) : [];
        var settings = new Settings
        {
            File = file,
            State = top.Find("state") is { } state ? FullPath(top, "state", state) : defaultState,
            Host = top.Text("host", Environment.MachineName, "the name this host's lines carry"),
            Mounts = mounts,
            Receive = receive,
            Routes = routes,
            Notices = _notices,
        };
        if (receive is not null && !routes.Any(x => x.From.Contains(ReceiveSettings.Name, StringComparer.Ordinal)) && !_problems.Any)
            _problems.Add(top.Find("receive")!, "no route takes what is received, so it would be lost; add a route from receive");
        foreach (var mount in mounts)
        {
            foreach (var route in routes.Where(x => x.From.Contains(mount.Name, StringComparer.Ordinal)))
                CheckMessages(top, mount, route);
            if (!routes.Any(x => x.From.Contains(mount.Name, StringComparer.Ordinal)))
                _notices.Add($"no route takes the lines of mount {mount.Name}: they are carried nowhere");
            CheckNotBelow(mount, settings.State, "the state directory", top.Find("state") ?? root);
            foreach (var (path, name, at) in _outputs)
                CheckNotBelow(mount, path, name, at);
        }
        return settings;
    }

    private List<MountSettings> ReadMounts(WrittenNode node)
    {
        var mounts = new List<MountSettings>();
        foreach (var (name, value) in new Section(node, "mounts", _problems).Entries)
        {
            if (!IsName(name) || name == ReceiveSettings.Name)
                _problems.Add(value, $"mounts.{name}: a mount's name is of letters, digits, '-', '_' and '.', at most 64, and not '{ReceiveSettings.Name}'");
            var section = new Section(value, $"mounts.{name}", _problems, MountKeys);
            var at = (_mayLackMountPoint ? section.Find("at") : section.Require("at", "the directory to mount")) is { } written ? FullPath(section, "at", written) : "";
            foreach (var other in mounts.Where(x => at is not "" && x.At is not ""))
                if (RealPath.IsWithin(at, other.At))
                    _problems.Add(section.Find("at")!, $"{section.Path("at")} is '{at}', which {(RealPath.IsWithin(other.At, at) ? $"mounts.{other.Name} mounts already" : $"lies in mounts.{other.Name} ({other.At}); mounts lie beside each other")}");
                else if (RealPath.IsWithin(other.At, at))
                    _problems.Add(section.Find("at")!, $"{section.Path("at")} is '{at}', in which mounts.{other.Name} ({other.At}) lies; mounts lie beside each other");
            var policy = ReadPolicy(section, QuotaBytesMin);
            mounts.Add(new MountSettings(name, at, section.Choice("keep", true, ("all", true), ("none", false)), policy)
            {
                Passthrough = ReadPassthrough(section, policy),
                Only = ReadPatterns(section, "only"),
                CarriesUnmounted = section.Choice("unmounted", true, ("carry", true), ("ignore", false)),
            });
        }
        if (mounts.Count is 0 && node is WrittenMapping)
            _problems.Add(node, "mounts is empty; expected NAME: { at: DIRECTORY }");
        return mounts;
    }

    private IReadOnlyList<string> ReadPassthrough(Section section, LogPolicy policy)
    {
        var patterns = ReadPatterns(section, "passthrough");
        if (patterns.Count > 0 && policy.Commit is not CommitLevel.Process)
            _problems.Add(section.Find("commit")!, $"{section.Path("commit")} must be process (the default) on a mount with {section.Path("passthrough")}: writes that go straight to the disk are answered by the kernel, and nobody can hold the answer back; fsync still commits");
        return patterns;
    }

    private IReadOnlyList<string> ReadPatterns(Section section, string key)
    {
        var patterns = section.Texts(key, "a pattern such as *.log") ?? [];
        foreach (var pattern in patterns)
            if (pattern.Text.EndsWith('/'))
                _problems.Add(pattern, $"{section.Path(key)} is '{pattern.Text}', which no file can match; expected {pattern.Text}** for all files below");
            else if (pattern.Text.Length - pattern.Text.TrimEnd('\\').Length is var slashes && slashes % 2 is 1)
                _problems.Add(pattern, $"{section.Path(key)} is '{pattern.Text}', which ends within an escape; a backslash makes the character behind it mean itself");
        return patterns.Count is 0 ? [] : [.. patterns.Select(t => t.Text)];
    }

    private ReceiveSettings? ReadReceive(WrittenNode node)
    {
        var section = new Section(node, "receive", _problems, ReceiveKeys);
        var listen = new HostPort(IPAddress.Any.ToString(), HostPort.ForwardPort);
        AdmissionSettings? admission = null;
        if (section.Require("forward", "{ listen: ADDRESS:PORT }") is { } written)
        {
            var forward = new Section(written, "receive.forward", _problems, ListenKeys);
            listen = forward.Value("listen", listen, "an address and port of this host, such as 0.0.0.0:24224",
                static (string t, out HostPort v) => HostPort.TryParse(t, out v) && IPAddress.TryParse(v.Host, out _));
            admission = _security.ReadAdmission(forward);
        }
        return new ReceiveSettings(listen, ReadPolicy(section, ReceiveQuotaBytesMin)) { Admission = admission };
    }

    private LogPolicy ReadPolicy(Section section, long quotaBytesMin)
    {
        (string, CommitLevel)[] levels = [("process", CommitLevel.Process), ("strict", CommitLevel.Strict)];
        var expected = $"{Section.OneOf(levels)} or {{ interval: 10ms }}";
        var level = LogPolicy.Default.Commit;
        var interval = TimeSpan.Zero;
        if (section.Find("commit") is WrittenMapping mapping)
        {
            level = CommitLevel.Interval;
            var commit = new Section(mapping, section.Path("commit"), _problems, CommitKeys);
            if (commit.Require("interval", "a duration such as 10ms") is not null)
                interval = commit.Value("interval", interval, "a duration from 1ms to 1m, such as 10ms",
                    static (string t, out TimeSpan v) => Quantity.TryParseDuration(t, out v) && v <= TimeSpan.FromMinutes(1));
        }
        else
            level = section.Value("commit", level, expected, (string t, out CommitLevel v) => Section.TryChoose(t, levels, out v));
        return new LogPolicy(level, interval,
            section.Value("quota", LogPolicy.Default.QuotaBytes, $"a size of at least {quotaBytesMin >> 20}MiB, such as 512MiB or 10GiB",
                (string t, out long v) => Quantity.TryParseSize(t, out v) && v >= quotaBytesMin),
            section.Choice("when_full", WhenFull.Refuse, ("refuse", WhenFull.Refuse), ("block", WhenFull.Block), ("drop_oldest", WhenFull.DropOldest)));
    }

    private List<RouteSettings> ReadRoutes(WrittenNode node, List<string> intakes)
    {
        var routes = new List<RouteSettings>();
        if (node is not WrittenList list)
        {
            _problems.Add(node, $"routes is {node.Shown}; expected a list: - to: ...");
            return routes;
        }
        for (var i = 0; i < list.Items.Count; i++)
        {
            var section = new Section(list.Items[i], $"routes[{i}]", _problems, RouteKeys);
            var route = ReadRoute(section, intakes);
            if (routes.Exists(x => x.Name == route.Name))
                _problems.Add(section.Find("name") ?? section.Node, $"{section.Path("name")}: two routes are called '{route.Name}'; give each a 'name:' of its own, it names the route's position on disk");
            routes.Add(route);
        }
        return routes;
    }

    private RouteSettings ReadRoute(Section section, List<string> intakes)
    {
        var from = section.Texts("from", $"the name of a mount, or {ReceiveSettings.Name}");
        foreach (var unknown in from?.Where(t => !intakes.Contains(t.Text)) ?? [])
            _problems.Add(unknown, $"{section.Path("from")} is '{unknown.Text}', which is no intake of this file;"
                + (Nearest.To(unknown.Text, intakes) is { } near ? $" did you mean '{near}'?" : "") + $" known: {string.Join(", ", intakes)}");
        var match = ReadPatterns(section, "match");
        var rules = RuleReader.Read(section, ReadPatterns(section, "except"), _problems);
        ForwardSettings? forward = null;
        FileSettings? file = null;
        PipeSettings? pipe = null;
        if (section.Require("to", Outputs) is { } written)
        {
            var to = new Section(written, section.Path("to"), _problems, OutputKeys);
            forward = to.Find("forward") is { } f ? new ForwardReader(_folder, _security, _problems, _notices).Read(new Section(f, to.Path("forward"), _problems, ForwardReader.Keys)) : null;
            file = to.Find("file") is { } o ? _onThisMachine.ReadFile(new Section(o, to.Path("file"), _problems, OutputReader.FileKeys)) : null;
            pipe = to.Find("pipe") is { } p ? _onThisMachine.ReadPipe(new Section(p, to.Path("pipe"), _problems, OutputReader.PipeKeys)) : null;
            if (written is WrittenMapping { Entries: [] })
                _problems.Add(written, $"{to.Name} is empty; expected {Outputs}");
        }
        var names = from?.Select(t => t.Text).Distinct(StringComparer.Ordinal).ToList() ?? intakes;
        var name = section.Value("name", from is null ? "all" : string.Join('-', names), "a name of letters, digits, '-', '_' and '.', at most 64",
            static (string t, out string v) => IsName(v = t));
        return new RouteSettings(name, names, match, forward, file) { Rules = rules, Filter = section.Find("filter") is { } q ? _onThisMachine.ReadFilter(new Section(q, section.Path("filter"), _problems, OutputReader.FilterKeys), rules.IsMessage) : null, Pipe = pipe };
    }

    // Relative paths are meant from the configuration file's own directory, so that they mean the same wherever the program is started.
    private string FullPath(Section section, string key, WrittenNode node)
    {
        if (node is WrittenText text && RealPath.IsPath(text.Text))
        {
            var full = Path.GetFullPath(text.Text, _folder);
            return full.Length > 1 && key is not ("path" or "output") ? full.TrimEnd('/') : full;
        }
        section.Expect(node, key, "a path");
        return "";
    }

    private void CheckNotBelow(MountSettings mount, string path, string what, WrittenNode at)
    {
        if (mount.At is not "" && path is not "" && RealPath.IsWithin(path, mount.At))
            _problems.Add(at, $"{what} {path} lies in mount {mount.Name} ({mount.At}); it must be outside of every mount");
    }

    // Of what goes past us nobody knows what was written at once. Two patterns cannot be compared in general: then it is said in the manual.
    private void CheckMessages(Section top, MountSettings mount, RouteSettings route)
    {
        var match = new PathMatch(route.Match, route.Rules.Except);
        if (route.Rules.IsMessage && mount.Passthrough.FirstOrDefault(p => route.Match.Contains(p, StringComparer.Ordinal) || match.Matches(Encoding.UTF8.GetBytes(p))) is { } passed)
            _problems.Add(top.Find("routes")!, $"route {route.Name} has mode: message and takes '{passed}', which is in mounts.{mount.Name}.passthrough: such files are written past this program, so it cannot know what was one message");
    }

    private static bool IsName(string text) =>
        text.Length is > 0 and <= 64 && char.IsAsciiLetterOrDigit(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}
