namespace Hikyaku.Config.K2hftfuse;

/// <summary>CHMPX's sections, GLOBAL, SVRNODE and SLVNODE, as what they mean for a sender and for a receiver.</summary>
internal sealed class Transport
{
    private const int DefaultPort = 8020;
    private const string SystemTrust = "/etc/ssl/certs";

    // What such expressions look for is found in every name.
    private static readonly string[] Everybody = ["", ".*", "^.*", ".*$", "^.*$", "[.]*", "^[.]*"];

    private readonly Findings _findings;
    private readonly string _folder;
    private readonly Section _global;
    private readonly IReadOnlyList<Section> _servers;
    private readonly IReadOnlyList<Section> _slaves;
    private readonly WrittenNode _root;

    /// <param name="folder">From which the paths of certificates are meant.</param>
    public Transport(WrittenMapping root, string folder, Findings findings)
    {
        _root = root;
        _findings = findings;
        _folder = folder;
        var top = new Section(root, "", findings.Problems, K2hftfuseKeys.Sections);
        _global = findings.Section(top.Find("GLOBAL") ?? NativeNode.Mapping(root), "GLOBAL");
        _servers = findings.Sections(top.Find("SVRNODE"), "SVRNODE");
        _slaves = findings.Sections(top.Find("SLVNODE"), "SLVNODE");
        _ = Findings.On(_global, "SSL");
    }

    /// <summary>The native <c>forward</c> output.</summary>
    /// <param name="broadcast">Every server gets every line.</param>
    public WrittenNode Sender(bool broadcast)
    {
        var servers = new List<WrittenNode>();
        foreach (var node in _servers)
        {
            if (node.Require("NAME", "a host name") is not { } name)
                continue;
            var (own, common) = (Port(node), Port(_global));
            var port = own ?? common ?? DefaultPort;
            if (own is not null && common is not null && own != common)
                _findings.Notice($"SVRNODE.PORT is {own} and GLOBAL.PORT {common}; senders connect to {own}");
            var names = name is WrittenText text ? NodeNames.Expand(text.Text) : null;
            if (names is null || !names.All(n => HostPort.TryParse(n, out _)))
                node.Expect(name, "NAME", "a host name, or a pattern such as foo[1-5].example.com or foo[a,b]");
            else if (NativeNode.Text(name, $"{((WrittenText)name).Text}:{port}") is var server && !servers.Exists(s => ((WrittenText)s).Text == server.Text))
                servers.Add(server);
        }
        var hash = _global.Choice("DELIVERMODE", false, ("random", false), ("hash", true), ("RANDOM", false), ("HASH", true));
        if (_servers.Count is 0)
            _findings.Problems.Add(_root, "SVRNODE is missing; expected the receiving hosts: SVRNODE: [{ NAME: HOST, PORT: NUMBER }]");
        return NativeNode.Mapping(_root,
            ("servers", NativeNode.List(_root, servers)),
            ("deliver", broadcast ? NativeNode.Text(_root, "broadcast") : hash ? NativeNode.Text(_global.Find("DELIVERMODE")!, "hash") : null),
            // With replicas another server takes over what one that is gone should have had.
            ("failover_after", !broadcast && hash && Findings.Number(_global, "REPLICA") > 0 ? NativeNode.Text(_global.Find("REPLICA")!, "30s") : null),
            ("tls", ClientTls()));
    }

    /// <summary>The native <c>receive</c>.</summary>
    public WrittenNode Receiver() => NativeNode.Mapping(_root, ("forward", NativeNode.Mapping(_root,
        ("listen", NativeNode.Text(_root, $"0.0.0.0:{OwnPort()}")), ("tls", ServerTls()), ("allow", Senders()))));

    // The port of this host's own entry; else the one port that all entries have; else the global one.
    private int OwnPort()
    {
        var ports = _servers.Select(Port).Distinct().ToList();
        var own = _servers.FirstOrDefault(s => s.Find("NAME") is WrittenText name && NodeNames.Expand(name.Text)?.Contains(Environment.MachineName, StringComparer.OrdinalIgnoreCase) is true);
        return (own is null ? null : Port(own)) ?? (ports.Count is 1 ? ports[0] : null) ?? Port(_global) ?? DefaultPort;
    }

    // A name is an expression that is looked for in the name of a host.
    private WrittenNode? Senders()
    {
        var names = new List<WrittenNode>();
        foreach (var slave in _slaves)
        {
            if (slave.Require("NAME", "a host name") is null || Findings.Text(slave, "NAME") is not { } name || Everybody.Contains(name.Text, StringComparer.Ordinal))
            {
                if (slave.Find("NAME") is WrittenText)
                    return null;
                continue;
            }
            var plain = name.Text.TrimStart('^').TrimEnd('$').Replace("\\.", ".", StringComparison.Ordinal);
            if (IsPattern(plain) && NodeNames.Expand(plain) is { } expanded && expanded.All(n => HostPort.TryParse(n, out _)))
                names.Add(NativeNode.Text(name, plain));
            else
                slave.Expect(name, "NAME", "every host (.*), a host name, or a pattern such as web[1-5].example.com; other expressions cannot be checked of an address: list networks instead, in receive.forward.allow of the native configuration ('hikyaku convert' prints it)");
        }
        return NativeNode.ListOrNone(_root, names);
    }

    // [13] is one of two characters to the original, [1-3] and [a,b] are the same to both.
    private static bool IsPattern(string name)
    {
        for (var open = name.IndexOf('[', StringComparison.Ordinal); open >= 0; open = name.IndexOf('[', open + 1))
        {
            var close = name.IndexOf(']', open);
            if (close > open + 2 && !name.AsSpan(open, close - open).ContainsAny('-', ','))
                return false;
        }
        return true;
    }

    private WrittenNode? ClientTls()
    {
        var secure = _servers.Select(s => IsSecure(s)).Distinct().ToList();
        if (secure.Count > 1)
            _findings.Problems.Add(_servers[0].Node, "SVRNODE.SSL is on for some servers and off for others; expected the same for all");
        return secure.Count is 0 || !secure[0] ? null : NativeNode.Mapping(_root,
            ("verify", NativeNode.Text(_root, "on")), ("ca", Authority([.. _slaves, .. _servers])), ("cert", File("SLAVE_CERT", [.. _slaves, .. _servers])), ("key", File("SLAVE_PRIKEY", [.. _slaves, .. _servers])), ("min", LeastVersion()));
    }

    private WrittenNode? ServerTls()
    {
        if (!(_servers.Count is 0 ? Findings.On(_global, "SSL") : _servers.Any(IsSecure)))
            return null;
        foreach (var key in new[] { "SERVER_CERT", "SERVER_PRIKEY" })
            if (File(key, _servers) is null)
                _findings.Problems.Add(_global.Node, $"SSL is on, but {key} is missing; expected a PEM file");
        var verify = _servers.Append(_global).Any(s => Findings.On(s, "SSL_VERIFY_PEER"));
        if (verify && Authority(_servers) is null)
            _findings.Problems.Add(_global.Node, "SSL_VERIFY_PEER is on, but CAPATH names no file; expected the certificate, in PEM, that signs those of the senders");
        return NativeNode.Mapping(_root, ("cert", File("SERVER_CERT", _servers)), ("key", File("SERVER_PRIKEY", _servers)), ("ca", verify ? Authority(_servers) : null), ("min", LeastVersion()));
    }

    private bool IsSecure(Section server) => Findings.On(server.Find("SSL") is null ? _global : server, "SSL");

    private WrittenNode? LeastVersion()
    {
        if (Findings.Text(_global, "SSL_MIN_VER") is not { } version)
            return null;
        if (version.Text.Contains("1.3", StringComparison.Ordinal))
            return NativeNode.Text(version, "1.3");
        if (!version.Text.Contains("1.2", StringComparison.Ordinal))
            _findings.Notice($"SSL_MIN_VER is {version.Shown}; nothing older than TLS 1.2 is spoken here");
        return NativeNode.Text(version, "1.2");
    }

    private WrittenNode? Authority(IEnumerable<Section> sections)
    {
        if (File("CAPATH", [.. sections]) is not { } path || path.Text.TrimEnd('/') is SystemTrust)
            return null;
        if (!Directory.Exists(path.Text))
            return path;
        _findings.Problems.Add(path, $"CAPATH is the directory {path.Text}; expected a file with the certificates in PEM, or {SystemTrust} for those that the system trusts (cat {path.Text.TrimEnd('/')}/*.pem > ca.pem makes one)");
        return null;
    }

    private WrittenText? File(string key, IReadOnlyList<Section> sections) =>
        sections.Append(_global).Where(s => s.Entries.Any(e => e.Key == key)).Select(s => Findings.Text(s, key)).OfType<WrittenText>().FirstOrDefault() is { } written
            ? NativeNode.Text(written, Path.GetFullPath(written.Text, _folder)) : null;

    private static int? Port(Section section) =>
        section.Find("PORT") is null ? null : section.Value("PORT", DefaultPort, "a port number", static (string text, out int value) => int.TryParse(text, out value) && value is > 0 and <= 65535);
}
