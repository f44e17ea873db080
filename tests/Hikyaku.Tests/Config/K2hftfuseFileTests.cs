using Hikyaku.Config;
using Xunit;

namespace Hikyaku.Tests.Config;

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
        Assert.Equal(new MountSettings("mount", "/home/apache/logs", false, LogPolicy.Default), Assert.Single(settings.Mounts));
        Assert.Null(settings.Receive);
        Assert.EndsWith("/hikyaku/home-apache-logs", settings.State, StringComparison.Ordinal);
        var route = Assert.Single(settings.Routes);
        Assert.Equal(["mount"], route.From);
        Assert.Equal(["/access.log", "/vhost/error.log"], route.Match);
        Assert.Equal(["collect1.example.com:9100", "collect2.example.com:9100", "collect3.example.com:9100"], route.Forward!.Servers.Select(s => s.ToString()));
        Assert.Null(route.File);
    }

    [Fact]
    public void What_has_no_meaning_here_is_named_once_with_the_reason() =>
        Assert.Equal(
            ["c.yaml: these keys have no meaning here and are ignored: K2HMASKBIT, K2HMAXELE, K2HTYPE (the queue is a log on disk that needs no sizing); "
                + "CTLPORT, DATE, FILEVERSION, GROUP, MODE, RWTIMEOUT (there is no CHMPX process, message queue or merge); SLVNODE (which hosts may send is not checked)"],
            ConfigurationText.Load(Slave, "/home/apache/logs").Notices);

    [Fact]
    public void Without_a_port_of_its_own_a_server_has_the_global_one()
    {
        var text = Slave.Replace("            PORT:               9100,\n", "", StringComparison.Ordinal);
        Assert.Equal(9000, ConfigurationText.Load(text, "/l").Routes[0].Forward!.Servers[0].Address.Port);
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
    [InlineData("DELIVERMODE:            random", "DELIVERMODE:            hash", "8:33: GLOBAL.DELIVERMODE 'hash' is not supported yet")]
    [InlineData("SSL:                    no,\n        K2HM", "SSL:                    yes,\n        K2HM", "12:33: GLOBAL.SSL 'yes' is not supported yet")]
    [InlineData("BROADCAST:    no", "BROADCAST:    yes", "33:33: K2HTPDTOR.K2HTPDTOR_BROADCAST 'yes' is not supported yet")]
    [InlineData("K2HTYPE:                mem", "BINTRANS:               on", "37:33: K2HFTFUSE.BINTRANS 'on' is not supported yet")]
    [InlineData("K2HTYPE:                mem", "EXPIRE:                 60", "37:33: K2HFTFUSE.EXPIRE '60' is not supported yet")]
    [InlineData("TRUNS:              off,\n                OUT", "TRUNS:              on,\n                OUT", "46:37: K2HFTFUSE_RULE_DIR.TRUNS on is not supported yet")]
    [InlineData("TARGET:             access.log,", "TARGET: a.log, ALLOW: [\"x\"],", "54:39: K2HFTFUSE_RULE.ALLOW is not supported yet")]
    [InlineData("TARGET:             access.log,", "TARGET: a.log, DENY: \"x\",", "54:38: K2HFTFUSE_RULE.DENY is not supported yet")]
    [InlineData("TARGET:             access.log,", "TARGET: a.log, PLUGIN: /bin/cat,", "54:40: K2HFTFUSE_RULE.PLUGIN is not supported yet")]
    [InlineData("OUTPUTFILE:         /dev/null,\n                DEFAULTALL:         ALLOW\n            },\n            {\n                TARGET:             /v", "OUTPUTFILE:         /copy,\n                DEFAULTALL:         ALLOW\n            },\n            {\n                TARGET:             /v", "56:37: K2HFTFUSE_RULE.OUTPUTFILE '/copy' is not supported yet")]
    [InlineData("collect[1-3].example.com", "collect[3-1].example.com", "18:33: SVRNODE.NAME is 'collect[3-1].example.com'; expected a host name, or a pattern such as foo[1-5].example.com or foo[a,b]")]
    [InlineData("TRUNS:              off,\n                OUT", "TRANS:              off,\n                OUT", "46:17: unknown key 'TRANS' in K2HFTFUSE_RULE_DIR; did you mean 'TRUNS'? known here: TARGET, TRUNS, OUTPUTFILE, PLUGIN, DEFAULTALL, ALLOW, DENY")]
    public void What_would_change_what_arrives_is_refused_by_name(string part, string instead, string expected)
    {
        var text = Slave.Replace(part, instead, StringComparison.Ordinal);
        Assert.NotEqual(Slave, text);
        Assert.Equal(expected, ConfigurationText.Problems(text, "/l"));
    }

    [Theory]
    [InlineData("TYPE:                   file", "TYPE:                   both", "K2HFTFUSESVR.TYPE 'both' is not supported yet")]
    [InlineData("#PLUGIN:    ", "PLUGIN:    ", "K2HFTFUSESVR.PLUGIN is not supported yet")]
    [InlineData("FORMAT:                 \"%H", "FORMAT:                 \"%q%H", "not %q")]
    [InlineData("/home/apache/all", "here", "K2HFTFUSESVR.FILE_BASEDIR is 'here'; expected an absolute path")]
    public void So_it_is_on_the_collecting_side(string part, string instead, string expected) =>
        Assert.EndsWith(expected, ConfigurationText.Problems(Server.Replace(part, instead, StringComparison.Ordinal)), StringComparison.Ordinal);

    [Fact]
    public void A_text_in_quotes_stays_as_it_is_whatever_it_looks_like() =>
        Assert.Equal("%H: pid[%P] it's: [%L", ConfigurationText.Load(Server.Replace("%H:%F(%P):%f[%T] %L", "%H: pid[%P] it's: [%L", StringComparison.Ordinal)).Routes[0].File!.Format);

    [Fact]
    public void The_other_two_formats_are_refused_by_name()
    {
        Assert.Contains("INI format is not supported yet", ConfigurationText.Problems("[GLOBAL]\nPORT = 1\n[K2HFTFUSE]\n"), StringComparison.Ordinal);
        Assert.Contains("JSON format is not supported yet", ConfigurationText.Problems("{ \"GLOBAL\": { \"PORT\": 1 } }"), StringComparison.Ordinal);
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
