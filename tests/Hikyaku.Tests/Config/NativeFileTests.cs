using Hikyaku.Config;
using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Config;

public sealed class NativeFileTests
{
    private const string Host = """
        state: /var/lib/hikyaku/web
        host: web1
        mounts:
          apache: { at: /srv/logs/, keep: none, commit: { interval: 20ms }, quota: 512MiB, when_full: block }
        routes:
          - name: errors
            from: apache
            match: ["error.log", "**/debug/*"]
            to:
              forward: { servers: [collect1, "collect2:5000"], deliver: random, compress: zstd }
        """;

    [Fact]
    public void An_application_host_is_understood()
    {
        var settings = ConfigurationText.Load(Host);
        Assert.Equal(("/var/lib/hikyaku/web", "web1"), (settings.State, settings.Host));
        Assert.Equal(new MountSettings("apache", "/srv/logs", false, new LogPolicy(CommitLevel.Interval, TimeSpan.FromMilliseconds(20), 512L << 20, WhenFull.Block)), Assert.Single(settings.Mounts));
        var route = Assert.Single(settings.Routes);
        Assert.Equal("errors", route.Name);
        Assert.Equal(["apache"], route.From);
        Assert.Equal(["error.log", "**/debug/*"], route.Match);
        Assert.Equal([new HostPort("collect1", 24224), new HostPort("collect2", 5000)], route.Forward!.Servers.Select(s => s.Address));
        Assert.Equal(Hikyaku.Forward.Compression.Zstd, route.Forward.Compress);
        Assert.Null(route.File);
        Assert.Empty(settings.Notices);
    }

    [Fact]
    public void What_is_written_while_nothing_is_mounted_is_carried_unless_it_is_to_be_ignored()
    {
        Assert.True(Assert.Single(ConfigurationText.Load("mounts: { m: { at: /m } }\n").Mounts).CarriesUnmounted);
        Assert.True(Assert.Single(ConfigurationText.Load("mounts: { m: { at: /m, unmounted: carry } }\n").Mounts).CarriesUnmounted);
        Assert.False(Assert.Single(ConfigurationText.Load("mounts: { m: { at: /m, unmounted: ignore } }\n").Mounts).CarriesUnmounted);
    }

    [Fact]
    public void A_collecting_host_is_understood()
    {
        var settings = ConfigurationText.Load("""
            receive: { forward: { listen: 127.0.0.1:1234 }, commit: strict, quota: 10GiB, when_full: drop_oldest }
            routes:
              - to: { file: { path: "/logs/{host}/{path}", format: "%T %l\\n", time: "%s.%-" } }
            """);
        Assert.Equal(new ReceiveSettings(new HostPort("127.0.0.1", 1234), new LogPolicy(CommitLevel.Strict, TimeSpan.Zero, 10L << 30, WhenFull.DropOldest)), settings.Receive);
        var route = Assert.Single(settings.Routes);
        Assert.Equal(("all", new FileSettings("/logs/{host}/{path}", "%T %l\\n", "%s.%-")), (route.Name, route.File));
        Assert.Equal(["receive"], route.From);
    }

    [Fact]
    public void Ways_to_several_servers_are_understood()
    {
        var forward = ConfigurationText.Load("""
            mounts: { m: { at: /m } }
            routes:
              - to:
                  forward:
                    servers: ["a[1-2].example.com:1", "[::1]:2", { host: "b[01-02]", weight: 3, standby: true }]
                    servers_srv: _forward._tcp.example.com
                    deliver: failover
                    copies: 2
                    failover_after: 30s
            """).Routes[0].Forward!;
        Assert.Equal(["a1.example.com:1", "a2.example.com:1", "[::1]:2", "b01:24224", "b02:24224"], forward.Servers.Select(s => s.ToString()));
        Assert.Equal((3, true, 1, false), (forward.Servers[4].Weight, forward.Servers[4].IsStandby, forward.Servers[0].Weight, forward.Servers[0].IsStandby));
        Assert.Equal(("_forward._tcp.example.com", Hikyaku.Transfer.DeliverMode.Failover, 2, TimeSpan.FromSeconds(30)), (forward.Srv, forward.Deliver, forward.Copies, forward.FailoverAfter));
        Assert.Equal("a1.example.com:1 a2.example.com:1 [::1]:2 b01:24224 weight 3 standby b02:24224 weight 3 standby, and the servers of the SRV records of _forward._tcp.example.com"
            + " (failover: the first that is healthy, 2 copies of each line, what is not acknowledged within 30 s goes to another and may arrive twice)", forward.Describe());
    }

    [Theory]
    [InlineData("# all\na\nb[1-2]:5 weight=7 # two\n\n c:1 standby\n", "a:24224 1, b1:5 7, b2:5 7, c:1 1 standby")]
    [InlineData("a\nb c\n", "line 2: 'c' is neither 'standby' nor 'weight=' and a number from 1 to 65535")]
    [InlineData("a:b\n", "line 1: 'a:b' is not HOST or HOST:PORT")]
    public void A_file_of_servers_is_read_or_said_to_be_wrong(string text, string meaning)
    {
        var servers = ForwardReader.ParseFile(text, out var problem);
        Assert.Equal(meaning, servers is null ? problem : string.Join(", ", servers.Select(s => $"{s.Address} {s.Weight}{(s.IsStandby ? " standby" : "")}")));
    }

    [Fact]
    public void A_file_of_servers_that_is_not_there_yet_is_no_mistake()
    {
        var settings = ConfigurationText.Load("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers_file: list } } }]\n");
        Assert.EndsWith("/list", settings.Routes[0].Forward!.File, StringComparison.Ordinal);
        Assert.Contains("lines wait until it names servers", Assert.Single(settings.Notices), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_left_out_has_a_default()
    {
        var settings = ConfigurationText.Load("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: h } } }]\nreceive: { forward: {} }\n");
        Assert.Equal(Environment.MachineName, settings.Host);
        Assert.EndsWith("/hikyaku/c", settings.State, StringComparison.Ordinal);
        Assert.Equal(new MountSettings("m", "/m", true, LogPolicy.Default), Assert.Single(settings.Mounts));
        Assert.Equal(new HostPort("0.0.0.0", 24224), settings.Receive!.Listen);
        Assert.Equal(["m", "receive"], Assert.Single(settings.Routes).From);
    }

    [Fact]
    public void Relative_paths_are_meant_from_the_files_own_folder()
    {
        var settings = ConfigurationText.Load("state: s\nmounts: { m: { at: ./logs } }\nroutes: [{ to: { file: { path: out.log } } }]\n");
        var folder = Path.GetDirectoryName(settings.File)!;
        Assert.Equal([Path.Join(folder, "s"), Path.Join(folder, "logs"), Path.Join(folder, "out.log")], [settings.State, settings.Mounts[0].At, settings.Routes[0].File!.Path]);
    }

    [Fact]
    public void What_an_instance_itself_needs_does_not_lie_in_its_mounts()
    {
        Assert.Contains("the configuration file", ConfigurationText.Problems("mounts: { m: { at: . } }\nstate: /s"), StringComparison.Ordinal);
        Assert.Contains("the program", ConfigurationText.Problems($"mounts: {{ m: {{ at: {AppContext.BaseDirectory} }} }}"), StringComparison.Ordinal);
    }

    [Fact]
    public void Symbolic_links_hide_nothing()
    {
        var folder = Directory.CreateTempSubdirectory("hikyaku-config").FullName;
        try
        {
            Directory.CreateDirectory(folder + "/real");
            File.CreateSymbolicLink(folder + "/link", folder + "/real");
            Assert.Contains("lies in mount m", ConfigurationText.Problems($"state: {folder}/real/not/yet\nmounts: {{ m: {{ at: {folder}/link }} }}"), StringComparison.Ordinal);
            Assert.Contains("which mounts.a mounts already", ConfigurationText.Problems($"mounts: {{ a: {{ at: {folder}/link }}, b: {{ at: {folder}/real }} }}"), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_mount_without_a_route_is_noticed() =>
        Assert.Equal(["no route takes the lines of mount m: they are carried nowhere"], ConfigurationText.Load("mounts: { m: { at: /m } }").Notices);

    [Fact]
    public void A_mount_command_needs_its_directory_among_the_mounts()
    {
        Assert.Equal("/m", ConfigurationText.Load("mounts: { m: { at: /m } }", "/m").Mounts[0].At);
        Assert.Contains("no mount of this file is at /other; it has /m", ConfigurationText.Problems("mounts: { m: { at: /m } }", "/other"), StringComparison.Ordinal);
    }

    [Theory]
    // Keys
    [InlineData("moutns: { m: { at: /m } }\nreceive: { forward: {} }\nroutes: [{ to: { file: { path: /x } } }]",
        "1:1: unknown key 'moutns' at the top; did you mean 'mounts'? known here: state, host, mounts, receive, routes")]
    [InlineData("mounts:\n  m: { at: /m, comimt: strict }", "2:16: unknown key 'comimt' in mounts.m; did you mean 'commit'? known here: at, keep, only, unmounted, passthrough, commit, quota, when_full")]
    [InlineData("mounts:\n  m: { at: /m, passthrough: a.log, commit: strict }\nroutes: [{ to: { file: { path: /x } } }]", "2:44: mounts.m.commit must be process (the default) on a mount with mounts.m.passthrough: writes that go straight to the disk are answered by the kernel, and nobody can hold the answer back; fsync still commits")]
    [InlineData("mounts:\n  m: { at: /m, passthrough: [old/] }\nroutes: [{ to: { file: { path: /x } } }]", "2:30: mounts.m.passthrough is 'old/', which no file can match; expected old/** for all files below")]
    [InlineData("mounts:\n  m: { at: /m, flavour: x }", "2:16: unknown key 'flavour' in mounts.m; known here: at, keep, only, unmounted, passthrough, commit, quota, when_full")]
    [InlineData("mounts:\n  m: { at: /m }\nmounts:\n  n: { at: /n }", "3:1: 'mounts' is given twice (first in line 1); keep one")]
    [InlineData("mounts: { m: { at: /m, at: /n } }", "1:24: 'at' is given twice (first in line 1); keep one")]
    // Shapes
    [InlineData("", "the file is empty; expected at least mounts or receive, and routes")]
    [InlineData("# only a comment\n", "the file is empty; expected at least mounts or receive, and routes")]
    [InlineData("just text", "1:1: the file is 'just text'; expected the keys state, host, mounts, receive, routes")]
    [InlineData("state: /s", "1:1: nothing comes in: expected mounts, or receive, or both")]
    [InlineData("mounts: {}", "1:9: mounts is empty; expected NAME: { at: DIRECTORY }")]
    [InlineData("mounts: [a]", "1:9: mounts is a list; expected a mapping")]
    [InlineData("mounts: { m: /m }", "1:14: mounts.m is '/m'; expected the keys at, keep, only, unmounted, passthrough, commit, quota, when_full")]
    [InlineData("mounts: { m: { at: /m } }\n---\nmounts: { n: { at: /n } }", "2:1: a second document starts here ('---'); one file configures one host: put each document in a file of its own")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: { to: x }", "2:9: routes is a mapping; expected a list: - to: ...")]
    // Values
    [InlineData("mounts: { m: { keep: all } }", "1:14: mounts.m.at is missing; expected the directory to mount")]
    [InlineData("mounts: { m: { at: } }", "1:20: mounts.m.at is missing; expected the directory to mount")]
    [InlineData("mounts: { m: { at: /m, keep: some } }", "1:30: mounts.m.keep is 'some'; expected all or none")]
    [InlineData("mounts: { m: { at: /m, commit: fast } }", "1:32: mounts.m.commit is 'fast'; expected process or strict or { interval: 10ms }")]
    [InlineData("mounts: { m: { at: /m, commit: { interval: 10 } } }", "1:44: mounts.m.commit.interval is '10'; expected a duration from 1ms to 1m, such as 10ms")]
    [InlineData("mounts: { m: { at: /m, commit: { every: 10ms } } }",
        "1:32: mounts.m.commit.interval is missing; expected a duration such as 10ms\n1:34: unknown key 'every' in mounts.m.commit; known here: interval")]
    [InlineData("mounts: { m: { at: /m, quota: 1GB } }", "1:31: mounts.m.quota is '1GB'; expected a size of at least 4MiB, such as 512MiB or 10GiB")]
    [InlineData("mounts: { m: { at: /m, quota: 1KiB } }", "1:31: mounts.m.quota is '1KiB'; expected a size of at least 4MiB, such as 512MiB or 10GiB")]
    [InlineData("mounts: { m: { at: /m, when_full: panic } }", "1:35: mounts.m.when_full is 'panic'; expected refuse or block or drop_oldest")]
    [InlineData("mounts: { receive: { at: /m } }", "1:20: mounts.receive: a mount's name is of letters, digits, '-', '_' and '.', at most 64, and not 'receive'")]
    [InlineData("mounts: { a: { at: /m }, b: { at: /m/ } }", "1:35: mounts.b.at is '/m', which mounts.a mounts already")]
    [InlineData("mounts: { a: { at: /m }, b: { at: /m/x } }", "1:35: mounts.b.at is '/m/x', which lies in mounts.a (/m); mounts lie beside each other")]
    [InlineData("mounts: { a: { at: /m/x }, b: { at: /m } }", "1:37: mounts.b.at is '/m', in which mounts.a (/m/x) lies; mounts lie beside each other")]
    [InlineData("state: /m/state\nmounts: { m: { at: /m } }", "1:8: the state directory /m/state lies in mount m (/m); it must be outside of every mount")]
    [InlineData("receive: { forward: { listen: nowhere } }\nroutes: [{ to: { file: { path: /x } } }]", "1:31: receive.forward.listen is 'nowhere'; expected an address and port of this host, such as 0.0.0.0:24224")]
    [InlineData("receive: { forward: { listen: 0.0.0.0:99999 } }\nroutes: [{ to: { file: { path: /x } } }]", "1:31: receive.forward.listen is '0.0.0.0:99999'; expected an address and port of this host, such as 0.0.0.0:24224")]
    [InlineData("receive: { forward: {} }", "1:10: no route takes what is received, so it would be lost; add a route from receive")]
    // Routes
    [InlineData("mounts: { apache: { at: /m } }\nroutes: [{ from: apahce, to: { file: { path: /x } } }]", "2:18: routes[0].from is 'apahce', which is no intake of this file; did you mean 'apache'? known: apache")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ from: m }]", "2:10: routes[0].to is missing; expected forward, file or pipe, or several of them")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: {} }]", "2:16: routes[0].to is empty; expected forward, file or pipe, or several of them")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { pip: x } }]", "2:18: unknown key 'pip' in routes[0].to; did you mean 'pipe'? known here: forward, file, pipe")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: \"/a/%Q\" } } }]", "2:32: routes[0].to.file.path is '/a/%Q'; expected letters of strftime such as %Y/%m/%d, or %% for a percent sign; not %Q")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: \"/a/%-\" } } }]", "2:32: routes[0].to.file.path is '/a/%-'; expected letters of strftime such as %Y/%m/%d, or %% for a percent sign; not %-")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: /a/100% } } }]", "2:32: routes[0].to.file.path is '/a/100%'; expected letters of strftime such as %Y/%m/%d, or %% for a percent sign; not %")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { pipe: { format: x } } }]", "2:24: routes[0].to.pipe.command is missing; expected a program and its arguments, as one text or a list")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { pipe: { command: \"A=1\" } } }]", "2:35: routes[0].to.pipe.command is 'A=1'; expected a program and its arguments, as one text or a list")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { pipe: { command: \"a 'b\" } } }]", "2:35: routes[0].to.pipe.command is 'a 'b'; expected a program and its arguments, as one text or a list: a quote or a backslash in it has no end")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { pipe: { command: a, framing: byte } } }]", "2:47: routes[0].to.pipe.framing is 'byte'; expected line or length")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { pipe: { command: a, output: \"/a/%Y\" } } }]", "2:46: routes[0].to.pipe.output is '/a/%Y'; expected no directives of time (%% is a percent sign)")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { pipe: { command: a, output: /m/x } } }]", "2:46: routes[0].to.pipe.output /m/x lies in mount m (/m); it must be outside of every mount")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: {} } }]", "2:27: routes[0].to.forward.servers is missing; expected a list of receivers, each HOST or HOST:PORT")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: [a, \"b:c\"] } } }]", "2:42: routes[0].to.forward.servers is 'b:c'; expected HOST or HOST:PORT")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: [a, a:24224] } } }]", "2:42: routes[0].to.forward.servers names a:24224 twice")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: a, deliver: hush } } }]", "2:50: routes[0].to.forward.deliver is 'hush'; expected random or hash or broadcast or failover")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: [{ host: a, weigth: 2 }] } } }]", "2:50: unknown key 'weigth' in routes[0].to.forward.servers; did you mean 'weight'? known here: host, weight, standby")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: [{ host: a, weight: 0 }] } } }]", "2:58: routes[0].to.forward.servers.weight is '0'; expected a number from 1 to 65535")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: \"a[9-1]\" } } }]", "2:38: routes[0].to.forward.servers is 'a[9-1]'; expected HOST or HOST:PORT")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: a, hash: host } } }]", "2:47: routes[0].to.forward.hash means something only with deliver: hash")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: [a, b], copies: 3 } } }]", "2:54: routes[0].to.forward.copies is 3, and there are 2 servers: lines would wait for ever")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: [a, b], failover_after: 10ms } } }]", "2:62: routes[0].to.forward.failover_after is '10ms'; expected never, or a duration from 1s on, such as 30s")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers_srv: \"a b\" } } }]", "2:42: routes[0].to.forward.servers_srv is 'a b'; expected a DNS name, such as _forward._tcp.example.com")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { forward: { servers: a, compress: lz4 } } }]", "2:51: routes[0].to.forward.compress is 'lz4'; expected none or gzip or zstd")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ match: logs/, to: { file: { path: /x } } }]", "2:19: routes[0].match is 'logs/', which no file can match; expected logs/** for all files below")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: \"/x/{pth}\" } } }]", "2:32: routes[0].to.file.path is '/x/{pth}'; expected only {host}, {path} and {file} in braces, not {pth}")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: /m/x } } }]", "2:32: routes[0].to.file.path /m/x lies in mount m (/m); it must be outside of every mount")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: /x, format: \"%Q\" } } }]", "2:44: routes[0].to.file.format is '%Q'; expected %H host, %P pid, %F path, %f file name, %T time, %L line with its end, %l line without, %% percent; not %Q")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: /x, format: '\\q' } } }]", "2:44: routes[0].to.file.format is '\\q'; expected \\a \\b \\f \\n \\r \\t \\xNN or \\\\; not \\q")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: /x, time: '%F %Q' } } }]", "2:42: routes[0].to.file.time is '%F %Q'; expected letters of strftime, or %- for nanoseconds; not %Q")]
    [InlineData("mounts: { m: { at: /m } }\nroutes:\n- { to: { file: { path: /x } } }\n- { to: { file: { path: /y } } }", "4:3: routes[1].name: two routes are called 'all'; give each a 'name:' of its own, it names the route's position on disk")]
    [InlineData("mounts: { m: { at: /m } }\nroutes: [{ name: a/b, to: { file: { path: /x } } }]", "2:18: routes[0].name is 'a/b'; expected a name of letters, digits, '-', '_' and '.', at most 64")]
    // Several at once, in the order of the file
    [InlineData("hots: x\nmounts: { m: { at: /m, keep: x, quota: 1 } }",
        "1:1: unknown key 'hots' at the top; did you mean 'host'? known here: state, host, mounts, receive, routes\n2:30: mounts.m.keep is 'x'; expected all or none\n2:40: mounts.m.quota is '1'; expected a size of at least 4MiB, such as 512MiB or 10GiB")]
    public void Every_problem_is_told_with_its_place(string text, string expected) => Assert.Equal(expected, ConfigurationText.Problems(text));

    [Theory]
    [InlineData("mounts: { m: { at: /m }\n", "2:1:")]
    [InlineData("mounts:\n\tm: 1\n", "2:1:")]
    [InlineData("mounts: { m: { at: *where } }", "1:20:")]
    [InlineData("routes: [{ to: { file: { path: /x/{host} } } }]", "1:35:")]
    public void Text_that_is_not_yaml_is_told_with_its_place(string text, string place) => Assert.StartsWith(place, ConfigurationText.Problems(text), StringComparison.Ordinal);

    [Fact]
    public void A_missing_file_a_directory_and_a_file_without_permission_are_told_apart()
    {
        var folder = Directory.CreateTempSubdirectory("hikyaku-config").FullName;
        try
        {
            Assert.Equal($"{folder}/no.yaml: there is no such file", Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(folder + "/no.yaml")).Message);
            Assert.Equal($"{folder}: this is a directory; expected a configuration file", Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(folder)).Message);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("host", "host", 24224)]
    [InlineData("host:1", "host", 1)]
    [InlineData("10.0.0.1:99", "10.0.0.1", 99)]
    [InlineData("[::1]:7", "::1", 7)]
    [InlineData("[::1]", "::1", 24224)]
    [InlineData("::1", "::1", 24224)]
    public void Addresses_are_read(string text, string host, int port)
    {
        Assert.True(HostPort.TryParse(text, out var address));
        Assert.Equal(new HostPort(host, port), address);
    }

    [Theory]
    [InlineData("")]
    [InlineData("host:")]
    [InlineData("host:0")]
    [InlineData("host:65536")]
    [InlineData(":24224")]
    [InlineData("[::1")]
    [InlineData("[]:1")]
    [InlineData("[::1]x")]
    [InlineData("a b")]
    public void What_is_no_address_is_refused(string text) => Assert.False(HostPort.TryParse(text, out _));
}
