using Hikyaku.Config;
using Hikyaku.Config.K2hftfuse;
using Xunit;

using Hikyaku.Tests.Config;

namespace Hikyaku.Tests.Config.K2hftfuse;

public sealed class K2hftfuseFileTests
{
    // Flow mappings with trailing commas, comments inside, and host patterns without quotes: as such files are in the field.
    private const string Slave = """
        # sending side
        GLOBAL:
            {
                FILEVERSION:            1,
                DATE:                   "Mon, 02 Jan 2017 00:00:00 +0900",
                GROUP:                  LOGS,
                MODE:                   SLAVE,
                DELIVERMODE:            random,
                PORT:                   9000,
                CTLPORT:                9001,
                RWTIMEOUT:              100000,
                SSL:                    no,
                K2HMASKBIT:             4
            }
        SVRNODE:
            [
                {
                    NAME:               collect[1-3].example.com, # three of them
                    PORT:               9100,
                    CTLPORT:            9101,
                    SSL:                no
                },
            ]
        SLVNODE:
            [
                {
                    NAME:               "[.]*",
                    CTLPORT:            9022
                }
            ]
        K2HTPDTOR:
            {
                K2HTPDTOR_BROADCAST:    no,
            }
        K2HFTFUSE:
            {
                K2HTYPE:                mem,
                K2HMAXELE:              2,
                #
                # K2HFTFUSE_RULE_DIR( sub rule )
                #
                K2HFTFUSE_RULE_DIR:
                [
                    {
                        TARGET:             /,
                        TRUNS:              off,
                        OUTPUTFILE:         /dev/null,
                        DEFAULTALL:         ALLOW
                    },
                ],
                K2HFTFUSE_RULE:
                [
                    {
                        TARGET:             access.log,
                        TRUNS:              on,
                        OUTPUTFILE:         /dev/null,
                        DEFAULTALL:         ALLOW
                    },
                    {
                        TARGET:             /vhost/error.log,
                        TRUNS:              on,
                        DEFAULTALL:         ALLOW
                    },
                    { TARGET: quiet.log, TRUNS: off },
                ]
            }
        """;

    private const string Server = """
        GLOBAL:
            {
                MODE:                   SERVER,
                DELIVERMODE:            random,
                REPLICA:                0,
                PORT:                   18020,
                SSL:                    no
            }
        SVRNODE:
            [
                {
                    NAME:               foo[0-9].example.com,
                    SSL:                no
                }
            ]
        K2HFTFUSESVR:
            {
                TYPE:                   file,
                FILE_BASEDIR:           /home/apache/all,
                FILE_UNIFY:             log/unify.log,
                FILE_TIMEFORM:          "%F %T(%s %-)",
                #PLUGIN:                 /usr/local/bin/myprogram,
                FORMAT:                 "%H:%F(%P):%f[%T] %L",
                K2HMASKBIT:             4,
            }
        """;

    [Fact]
    public void The_sending_side_becomes_one_mount_that_keeps_nothing_and_one_route()
    {
        var settings = ConfigurationText.Load(Slave, "/home/apache/logs");
        var mount = Assert.Single(settings.Mounts);
        Assert.Equal(("mount", "/home/apache/logs", false), (mount.Name, mount.At, mount.KeepAll));
        Assert.Null(settings.Receive);
        Assert.EndsWith("/hikyaku/home-apache-logs", settings.State, StringComparison.Ordinal);
        var route = Assert.Single(settings.Routes);
        Assert.Equal("mount", route.Name);
        Assert.Equal(["mount"], route.From);
        Assert.Equal(["/access.log", "/vhost/error.log"], route.Match);
        Assert.Null(route.File);
    }

    [Fact]
    public void What_has_no_meaning_here_is_named_once_with_the_reason() =>
        Assert.Equal(
            ["SVRNODE.PORT is 9100 and GLOBAL.PORT 9000; senders connect to 9100",
                "c.yaml: these keys have no meaning here and are ignored: DATE, FILEVERSION, GROUP, MODE (it changes nothing: the sections and node lists say what a file is for); "
                + "RWTIMEOUT (there is no CHMPX process, shared memory or message queue); "
                + "CTLPORT (there is no control port: 'hikyaku status' shows what is going on, a changed file is read again at SIGHUP); "
                + "K2HMASKBIT, K2HMAXELE, K2HTYPE (what waits lies in a log on disk that needs no sizing)"],
            ConfigurationText.Load(Slave, "/home/apache/logs").Notices);

    [Fact]
    public void Without_a_port_of_its_own_a_server_has_the_global_one()
    {
        var text = Slave.Replace("            PORT:               9100,\n", "", StringComparison.Ordinal);
        Assert.Contains("collect[1-3].example.com:9000", ConfigurationText.Load(text, "/l").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_children_read_is_the_native_equivalent()
    {
        var settings = ConfigurationText.Load(Slave, "/l");
        Assert.Equal(settings.Text, ConfigurationText.Load(settings.Text, "/l").Text);
        Assert.True(settings.IsConverted);
    }

    [Fact]
    public void The_collecting_side_becomes_a_receiver_and_one_file()
    {
        var settings = ConfigurationText.Load(Server);
        Assert.Equal(new ReceiveSettings(new HostPort("0.0.0.0", 18020), LogPolicy.Default), settings.Receive);
        Assert.Empty(settings.Mounts);
        var route = Assert.Single(settings.Routes);
        Assert.Equal(["receive"], route.From);
        Assert.Empty(route.Match);
        Assert.Equal(new FileSettings("/home/apache/all/log/unify.log", "%H:%F(%P):%f[%T] %L", "%F %T(%s %-)"), route.File);
        Assert.Null(route.Forward);
    }

    [Fact]
    public void Without_unify_every_source_path_has_a_file_of_its_own()
    {
        var text = Server.Replace("        FILE_UNIFY:             log/unify.log,\n", "", StringComparison.Ordinal);
        Assert.Equal("/home/apache/all/{path}", ConfigurationText.Load(text).Routes[0].File!.Path);
    }

    [Fact]
    public void A_sending_side_without_a_mount_point_can_be_checked_but_says_so() => Assert.Equal("", ConfigurationText.Load(Slave).Mounts[0].At);

    [Fact]
    public void A_collecting_side_cannot_be_mounted() =>
        Assert.Equal("1:1: there is no section K2HFTFUSE, so nothing says what to mount; run this file with: hikyaku run -c FILE", ConfigurationText.Problems(Server, "/l"));

    [Theory]
    [InlineData("K2HTYPE:                mem", "DTORCTP:                /lib/own.so", "37:33: K2HFTFUSE.DTORCTP is '/lib/own.so'; a transaction plug-in of one's own cannot be loaded: a program that reads lines can take its place (PLUGIN, or 'pipe' in the native configuration)")]
    [InlineData("K2HTYPE:                mem", "EXPIRE:                 never", "37:33: K2HFTFUSE.EXPIRE is 'never'; expected a number, 0 or more")]
    [InlineData("SSL:                    no,\n        K2HM", "SSL:                    maybe,\n        K2HM", "12:33: GLOBAL.SSL is 'maybe'; expected yes or no")]
    [InlineData("PORT:               9100", "PORT:               91000", "19:33: SVRNODE.PORT is '91000'; expected a port number")]
    [InlineData("TARGET:             access.log,", "TARGET: a.log, DENY: { a: b },", "54:38: K2HFTFUSE_RULE.DENY is a mapping; expected a word, or \"EXPRESSION\"")]
    [InlineData("OUTPUTFILE:         /dev/null,\n                DEFAULTALL:         ALLOW\n            },\n            {\n                TARGET:             /v", "OUTPUTFILE:         other.log,\n                DEFAULTALL:         ALLOW\n            },\n            {\n                TARGET:             /v", "56:37: K2HFTFUSE_RULE.OUTPUTFILE is 'other.log', a path in the mount itself; a rule cannot feed another file of the mount. Give an absolute path outside, and to the file's rule the patterns of both")]
    [InlineData("collect[1-3].example.com", "collect[3-1].example.com", "18:33: SVRNODE.NAME is 'collect[3-1].example.com'; expected a host name, or a pattern such as foo[1-5].example.com or foo[a,b]")]
    [InlineData("TRUNS:              off,\n                OUT", "TRANS:              off,\n                OUT", "46:17: unknown key 'TRANS' in K2HFTFUSE_RULE_DIR; did you mean 'TRUNS'? known here: TARGET, TRUNS, OUTPUTFILE, PLUGIN, DEFAULTALL, ALLOW, DENY")]
    public void What_cannot_be_followed_is_refused_by_name(string part, string instead, string expected)
    {
        var text = Slave.Replace(part, instead, StringComparison.Ordinal);
        Assert.NotEqual(Slave, text);
        Assert.Equal(expected, ConfigurationText.Problems(text, "/l"));
    }

    [Theory]
    [InlineData("TYPE:                   file", "TYPE:                   trans", "K2HFTFUSESVR.TRANSCONF is missing; expected the file with the sections GLOBAL and SVRNODE of the next hosts")]
    [InlineData("TYPE:                   file", "TYPE: both, TRANSCONF: /none.ini", "K2HFTFUSESVR.TRANSCONF: /none.ini: there is no such file")]
    [InlineData("FORMAT:                 \"%H", "FORMAT:                 \"%q%H", "not %q")]
    [InlineData("/home/apache/all", "here", "K2HFTFUSESVR.FILE_BASEDIR is 'here'; expected an absolute path")]
    [InlineData("SSL:                    no", "SSL:                    yes", "SSL is on, but SERVER_PRIKEY is missing; expected a PEM file")]
    [InlineData("SVRNODE:\n", "SLVNODE: [{ NAME: \"web.*[.]example\" }]\nSVRNODE:\n", "list networks instead, in receive.forward.allow of the native configuration ('hikyaku convert' prints it)")]
    public void So_it_is_on_the_collecting_side(string part, string instead, string expected)
    {
        var text = Server.Replace("SSL:                no", "", StringComparison.Ordinal).Replace(part, instead, StringComparison.Ordinal);
        Assert.EndsWith(expected, ConfigurationText.Problems(text), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("KEY = 1\n[K2HFTFUSE]", "1:1: 'KEY' stands before any section; expected [NAME] first")]
    [InlineData("[GLOBAL]\n  [HALF\n[K2HFTFUSE]", "2:3: '[HALF' is no section; expected [NAME]")]
    [InlineData("[GLOBAL]\nINCLUDE = c.yaml\n", "2:1: INCLUDE = c.yaml: this file is read already")]
    [InlineData("[GLOBAL]\nINCLUDE = none.ini\n", "there is no such file")]
    [InlineData("[K2HFTFUSE]\n", "1:1: neither K2HFTFUSE_RULE nor K2HFTFUSE_RULE_DIR says which files to carry: [{ TARGET: FILE, TRUNS: on, DEFAULTALL: ALLOW }]")]
    [InlineData("[K2HFTFUSE]\n[K2HFTFUSE_RULE]\nTARGET = a\nTRUNS = on\nDEFAULTALL = ALLOW\n", "1:1: SVRNODE is missing; expected the receiving hosts: SVRNODE: [{ NAME: HOST, PORT: NUMBER }]")]
    public void Mistakes_in_an_INI_file_are_named_with_their_place(string text, string expected) =>
        Assert.EndsWith(expected, ConfigurationText.Problems(text, "/l"), StringComparison.Ordinal);

    [Theory]
    [InlineData("ALLOW = \"^.*password.*$\", \"line removed\"", "allow: [{ posix: \"^.*password.*$\", line: \"line removed\" }]")]
    [InlineData("ALLOW = \"a\"\nALLOW = \"b\", \"<&>\"", "allow: [{ posix: a, line: \"$0\" }, { posix: b, line: \"<&>\" }]")]
    [InlineData("ALLOW = a, b", "allow: [{ text: \"a, b\" }]")]
    [InlineData("DEFAULTALL = ALLOW\nDENY = \"x,y\"", "deny: [{ posix: \"x,y\" }]")]
    public void Patterns_of_an_INI_file_keep_what_belongs_together(string rules, string expected) =>
        Assert.Contains(expected, ConfigurationText.Load(Ini(rules), "/l").Text, StringComparison.Ordinal);

    [Theory]
    [InlineData("ALLOW: [ \"^a\", \"^b\" ]", "allow: [{ posix: \"^a\", line: \"$0\" }, { posix: \"^b\", line: \"$0\" }]")]
    [InlineData("ALLOW: [ \"(a)\", \"$1!\" ]", "allow: [{ posix: (a), line: $1! }]")]
    [InlineData("ALLOW: [ [ \"(a)\", \"gone\" ] ]", "line: gone }]")]
    public void Patterns_of_a_YAML_file_are_one_or_two_as_they_look(string rules, string expected) =>
        Assert.Contains(expected, ConfigurationText.Load(Slave.Replace("TARGET:             access.log,", $"TARGET: b.log, TRUNS: on, {rules} }}, {{ TARGET: access.log,", StringComparison.Ordinal), "/l").Text.Replace("\"(a)\"", "(a)", StringComparison.Ordinal).Replace("\"$1!\"", "$1!", StringComparison.Ordinal), StringComparison.Ordinal);

    [Theory]
    [InlineData("ALLOW = \"^user=(.*)$\", $1", "'$1' stands behind an expression; expected \"EXPRESSION\", or \"EXPRESSION\", \"REPLACEMENT\"")]
    [InlineData("TARGET = b.log", "K2HFTFUSE_RULE.TARGET is a list; expected one value; in an INI file a key stands in a section once")]
    public void What_would_be_lost_of_an_INI_file_is_a_mistake(string rules, string expected) =>
        Assert.EndsWith(expected, ConfigurationText.Problems(Ini(rules), "/l"), StringComparison.Ordinal);

    [Theory]
    [InlineData("NAME: [ web1, web2 ]", "SLVNODE.NAME is a list; expected one value; in an INI file a key stands in a section once")]
    [InlineData("NAME: \"web[13]\"", "('hikyaku convert' prints it)")]
    [InlineData("NAME: \"^(web1)?$\"", "('hikyaku convert' prints it)")]
    [InlineData("CTLPORT: 1", "SLVNODE.NAME is missing; expected a host name")]
    public void Who_may_send_is_never_widened(string name, string expected) =>
        Assert.EndsWith(expected, ConfigurationText.Problems(Server.Replace("SVRNODE:\n", $"SLVNODE: [{{ {name} }}]\nSVRNODE:\n", StringComparison.Ordinal)), StringComparison.Ordinal);

    [Theory]
    [InlineData("ALLOW: [ \"^a\", \"removed\" ]", "'removed' in a list of its own: [['^a', 'removed']] if it is what the line becomes, [['^a'], ['removed']] if it is another pattern")]
    [InlineData("DENY: token[x]", "must stand in quotes")]
    public void What_can_mean_two_things_is_asked_for(string rules, string expected) =>
        Assert.EndsWith(expected, ConfigurationText.Problems(Slave.Replace("TARGET:             access.log,", $"TARGET: a.log, {rules},", StringComparison.Ordinal).Replace("DEFAULTALL:         ALLOW", "", StringComparison.Ordinal), "/l").Split('\n')[0], StringComparison.Ordinal);

    [Fact]
    public void A_rule_keeps_its_position_whatever_rules_come_beside_it()
    {
        string[] Names(string rules) => [.. ConfigurationText.Load(Ini(rules), "/l").Routes.Select(r => r.Name)];
        const string Directory = "ALLOW = a\n[K2HFTFUSE_RULE_DIR]\nTARGET = /\nTRUNS = on\nDEFAULTALL = ALLOW\n";
        var katakana = new string('\u30a2', 60);
        Assert.Equal(["a.log", "root-dir"], Names(Directory));
        Assert.Equal(["a.log", "mount", "root-dir"], Names(Directory + "[K2HFTFUSE_RULE]\nTARGET = plain.log\nTRUNS = on\nDEFAULTALL = ALLOW\n"));
        var odd = Names($"ALLOW = a\n[K2HFTFUSE_RULE]\nTARGET = d/{katakana}\nTRUNS = on\nALLOW = a\n[K2HFTFUSE_RULE]\nTARGET = d-{katakana}\nTRUNS = on\nALLOW = a\n");
        Assert.Equal(3, odd.Distinct().Count());
    }

    private static string Ini(string rules) => $"[SVRNODE]\nNAME = c.example.com\n[K2HFTFUSE]\n[K2HFTFUSE_RULE]\nTARGET = a.log\nTRUNS = on\n{rules}\n";

    [Fact]
    public void A_text_in_quotes_stays_as_it_is_whatever_it_looks_like() =>
        Assert.Equal("%H: pid[%P] it's: [%L", ConfigurationText.Load(Server.Replace("%H:%F(%P):%f[%T] %L", "%H: pid[%P] it's: [%L", StringComparison.Ordinal)).Routes[0].File!.Format);

    [Fact]
    public void The_page_has_every_key_and_says_of_those_without_a_meaning_why()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs/K2HFTFUSE.md"));
        foreach (var section in K2hftfuseKeys.Sections)
        {
            var start = page.IndexOf($"\n### {section}\n", StringComparison.Ordinal);
            Assert.True(start > 0, section);
            var end = page.IndexOf("\n#", start + 5, StringComparison.Ordinal);
            var rows = page[start..end].Split('\n').Where(l => l.StartsWith("| `", StringComparison.Ordinal)).ToList();
            foreach (var (_, key, meaningless) in K2hftfuseKeys.All.Where(k => k.Section == section))
            {
                var row = Assert.Single(rows, r => r.Split('|')[1].Contains($"`{key}`", StringComparison.Ordinal));
                Assert.Equal(meaningless is not null, row.Contains("accepted, no meaning: ", StringComparison.Ordinal));
                Assert.Contains(meaningless ?? "", row, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("foo", "foo")]
    [InlineData("foo[1-3]", "foo1 foo2 foo3")]
    [InlineData("foo[08-10].x", "foo08.x foo09.x foo10.x")]
    [InlineData("foo[a,b].x", "fooa.x foob.x")]
    [InlineData("foo[a-c]", "fooa foob fooc")]
    [InlineData("[a,b]-[1-2,9]", "a-1 a-2 a-9 b-1 b-2 b-9")]
    public void Host_patterns_are_expanded(string pattern, string names) => Assert.Equal(names, string.Join(' ', NodeNames.Expand(pattern)!));

    [Theory]
    [InlineData("")]
    [InlineData("foo[")]
    [InlineData("foo]")]
    [InlineData("foo[]")]
    [InlineData("foo[1,]")]
    [InlineData("foo[9-1]")]
    [InlineData("foo[1-9999]")]
    [InlineData("[1-100][1-100]")]
    public void Host_patterns_that_make_no_sense_are_refused(string pattern) => Assert.Null(NodeNames.Expand(pattern));
}
