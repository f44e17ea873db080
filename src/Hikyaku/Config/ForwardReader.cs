using Hikyaku.Forward;
using Hikyaku.Transfer;

namespace Hikyaku.Config;

/// <summary>Reads which servers lines go to and how they are given to them.</summary>
internal sealed class ForwardReader(string folder, SecurityReader security, Problems problems, List<string> notices)
{
    public static readonly string[] Keys = ["servers", "servers_file", "servers_srv", "deliver", "hash", "copies", "failover_after", "compress", .. SecurityReader.CredentialKeys];
    public static readonly string[] ServerKeys = ["host", "weight", "standby"];

    private const int ServersMax = 1024;
    private const string Expected = "a list of receivers, each HOST or HOST:PORT", ExpectedOne = "HOST or HOST:PORT";

    public ForwardSettings Read(Section section)
    {
        var file = section.Find("servers_file") is { } written ? FullPath(section, written) : null;
        var srv = section.Find("servers_srv") is { } name ? ReadName(section, name) : null;
        var servers = new List<ServerSettings>();
        var node = file is null && srv is null ? section.Require("servers", Expected) : section.Find("servers");
        if (node is not null)
            ReadServers(section, node, servers);
        var deliver = section.Choice("deliver", DeliverMode.Random, ("random", DeliverMode.Random), ("hash", DeliverMode.Hash), ("broadcast", DeliverMode.Broadcast), ("failover", DeliverMode.Failover));
        var settings = new ForwardSettings(servers)
        {
            File = file,
            Srv = srv,
            Deliver = deliver,
            Hash = section.Choice("hash", HashKey.Path, ("path", HashKey.Path), ("host", HashKey.Host), ("file", HashKey.File)),
            Copies = section.Value("copies", 1, $"a number from 1 to {ForwardSettings.CopiesMax}", static (string t, out int v) => TryParse(t, ForwardSettings.CopiesMax, out v)),
            FailoverAfter = section.Value<TimeSpan?>("failover_after", null, "never, or a duration from 1s on, such as 30s", TryParsePatience),
            Compress = section.Choice("compress", Compression.None, ("none", Compression.None), ("gzip", Compression.Gzip), ("zstd", Compression.Zstd)),
            Credentials = security.ReadCredentials(section),
        };
        Check(section, settings);
        return settings;
    }

    /// <summary>The servers that a file names, one a line; null, and where it is wrong, if it cannot be used.</summary>
    public static IReadOnlyList<TargetServer>? ParseFile(string text, out string problem)
    {
        var servers = new List<TargetServer>();
        var number = 0;
        problem = "";
        foreach (var line in text.Split('\n'))
        {
            number++;
            var words = line.Split('#')[0].Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length is 0)
                continue;
            var (weight, isStandby) = (1, false);
            foreach (var word in words[1..])
                if (word is "standby")
                    isStandby = true;
                else if (!word.StartsWith("weight=", StringComparison.Ordinal) || !TryParse(word[7..], TargetServer.WeightMax, out weight))
                    problem = $"line {number}: '{word}' is neither 'standby' nor 'weight=' and a number from 1 to {TargetServer.WeightMax}";
            if (Expand(words[0]) is { } hosts)
                servers.AddRange(hosts.Select(h => new TargetServer(h.ToString()) { Weight = weight, IsStandby = isStandby }));
            else
                problem = $"line {number}: '{words[0]}' is not {ExpectedOne}";
            if (servers.Count > ServersMax)
                problem = $"it names more than {ServersMax} servers";
            if (problem is not "")
                return null;
        }
        return servers;
    }

    private void ReadServers(Section section, WrittenNode node, List<ServerSettings> servers)
    {
        var items = node is WrittenList list ? list.Items : [node];
        if (items.Count is 0)
            section.Expect(node, "servers", Expected);
        foreach (var item in items)
        {
            var (at, weight, isStandby) = (item, 1, false);
            if (item is WrittenMapping)
            {
                var one = new Section(item, section.Path("servers"), problems, ServerKeys);
                if (one.Require("host", ExpectedOne) is not { } host)
                    continue;
                at = host;
                weight = one.Value("weight", 1, $"a number from 1 to {TargetServer.WeightMax}", static (string t, out int v) => TryParse(t, TargetServer.WeightMax, out v));
                isStandby = one.Choice("standby", false, ("true", true), ("false", false));
            }
            if (at is not WrittenText { Text: not "" } text || Expand(text.Text) is not { } hosts)
            {
                section.Expect(at, "servers", ExpectedOne);
                continue;
            }
            foreach (var host in hosts)
                if (servers.Exists(s => s.Address == host))
                    problems.Add(at, $"{section.Path("servers")} names {host} twice");
                else
                    servers.Add(new ServerSettings(host) { Weight = weight, IsStandby = isStandby });
            if (servers.Count > ServersMax)
            {
                problems.Add(at, $"{section.Path("servers")} names more than {ServersMax} servers");
                return;
            }
        }
    }

    // Brackets are a pattern, or hold an address of IPv6.
    private static IReadOnlyList<HostPort>? Expand(string text)
    {
        var isPattern = text.Contains('[', StringComparison.Ordinal) && !(text[0] is '[' && text.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon && colon < text.IndexOf(']', StringComparison.Ordinal));
        if ((isPattern ? NodeNames.Expand(text) : [text]) is not { } names)
            return null;
        var hosts = new List<HostPort>();
        foreach (var name in names)
            if (HostPort.TryParse(name, out var host) && host.ToString().Length <= TargetServer.AddressLengthMax)
                hosts.Add(host);
            else
                return null;
        return hosts;
    }

    private static void ExpectWith(Section section, string key, string mode, Problems problems)
    {
        if (section.Find(key) is { } node)
            problems.Add(node, $"{section.Path(key)} means something only with deliver: {mode}");
    }

    private void Check(Section section, ForwardSettings settings)
    {
        if (settings.Deliver is not DeliverMode.Hash)
            ExpectWith(section, "hash", "hash", problems);
        if (settings.Deliver is DeliverMode.Hash or DeliverMode.Broadcast)
            ExpectWith(section, "copies", "random or failover", problems);
        if (settings.Deliver is DeliverMode.Broadcast)
            ExpectWith(section, "failover_after", "random, hash or failover", problems);
        if (settings.Deliver is DeliverMode.Broadcast && settings.Servers.Any(s => s.IsStandby))
            problems.Add(section.Find("servers")!, $"{section.Path("servers")} names a standby, and with deliver: broadcast every server gets every line");
        if (settings.Copies > 1 && settings.File is null && settings.Srv is null && settings.Servers.Count > 0 && settings.Copies > settings.Servers.Count)
            problems.Add(section.Find("copies")!, $"{section.Path("copies")} is {settings.Copies}, and there are {settings.Servers.Count} servers: lines would wait for ever");
        // Whoever answers for the name servers would choose the name that is verified.
        if (settings is { Srv.Length: > 0, Credentials.Tls: { Verify: true, Name: null, Authorities: null } })
            problems.Add(section.Find("servers_srv")!, $"{section.Path("servers_srv")} with {section.Path("tls")} needs tls.name or tls.ca: answers of name servers are not signed, so the names in them verify nothing");
        if (settings.File is { Length: > 0 } file)
            Look(section, file);
    }

    // It may be mended at any time, so it is no mistake of this file.
    private void Look(Section section, string file)
    {
        var problem = "";
        try
        {
            if (ParseFile(File.ReadAllText(file), out problem) is { Count: 0 })
                problem = "it names no server";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = e.Message;
        }
        if (problem is not "")
            notices.Add($"{section.Path("servers_file")}: {file}: {problem.TrimEnd('.')}; lines wait until it names servers");
    }

    private string? ReadName(Section section, WrittenNode node)
    {
        if (node is WrittenText { Text: { Length: > 0 and <= 253 } name } && name.TrimEnd('.').Split('.').All(l => l.Length is > 0 and <= 63 && l.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')))
            return name;
        section.Expect(node, "servers_srv", "a DNS name, such as _forward._tcp.example.com");
        return "";
    }

    private string FullPath(Section section, WrittenNode node)
    {
        if (node is WrittenText text && RealPath.IsPath(text.Text))
            return Path.GetFullPath(text.Text, folder);
        section.Expect(node, "servers_file", "a path");
        return "";
    }

    private static bool TryParse(string text, int most, out int value) =>
        int.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out value) && value >= 1 && value <= most;

    private static bool TryParsePatience(string text, out TimeSpan? value)
    {
        value = null;
        if (text is "never")
            return true;
        if (!Quantity.TryParseDuration(text, out var duration) || duration < TimeSpan.FromSeconds(1))
            return false;
        value = duration;
        return true;
    }
}
