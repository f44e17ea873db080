using Hikyaku.Commands;
using Hikyaku.Transfer.Rules;
using Xunit;

namespace Hikyaku.Tests.Config;

public sealed class RuleReaderTests
{
    private const string All = """
        mounts: { m: { at: /m } }
        routes:
          - match: "*.log"
            except: ["debug*", 'a\*b']
            mode: message
            allow: ["ERR", { posix: "(a+)b", line: "$1" }]
            deny: { text: "x y" }
            rewrite: [{ regex: "\\d", with: "" }]
            longest: 8KiB
            expire: 48h
            batch: { lines: 100, time: 5s }
            to: { file: { path: /out } }
        """;

    [Fact]
    public void Every_rule_is_understood()
    {
        var rules = Assert.Single(ConfigurationText.Load(All).Routes).Rules;
        Assert.Equal(["debug*", "a\\*b"], rules.Except);
        Assert.True(rules.IsMessage);
        Assert.Equal([new(new(PatternKind.Regex, "ERR")), new(new(PatternKind.Posix, "(a+)b"), "$1")], rules.Allow);
        Assert.Equal([new(PatternKind.Text, "x y")], rules.Deny);
        Assert.Equal([new(new(PatternKind.Regex, "\\d"), "")], rules.Rewrite);
        Assert.Equal((8192, TimeSpan.FromHours(48), new BatchSettings(100, TimeSpan.FromSeconds(5))), (rules.Longest, rules.Expire, rules.Batch));
    }

    [Fact]
    public void The_check_says_what_they_mean()
    {
        var page = new StringWriter();
        CheckCommand.Describe(ConfigurationText.Load(All), page);
        Assert.Contains("""
            route    all: *.log from m
                       except debug* a\*b
                       each write is one message, byte for byte
                       lines with /ERR/ pass
                       lines with posix /(a+)b/ pass and become '$1'
                       lines with 'x y' do not pass
                       /\d/ becomes ''
                       lines longer than 8 KiB are not carried
                       lines older than 48 h are not carried
                       waits for 100 lines, at most 5 s
                       to file /out, format %L, time %F %T
            """, page.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_rules_every_line_passes()
    {
        var rules = Assert.Single(ConfigurationText.Load("mounts: { m: { at: /m } }\nroutes: [{ to: { file: { path: /out } } }]").Routes).Rules;
        Assert.Null(LineRules.Of(rules));
        Assert.Equal((false, (TimeSpan?)null, (BatchSettings?)null), (rules.IsMessage, rules.Expire, rules.Batch));
    }

    [Theory]
    [InlineData("allow: '(a'", "3:12: routes[0].allow '(a' is no regular expression at character 2")]
    [InlineData("deny: ['a', '(?=b)']", "3:17: routes[0].deny '(?=b)' cannot be matched in linear time")]
    [InlineData("deny: [{ posix: '(a)\\1' }]", "3:21: routes[0].deny.posix '(a)\\1' refers back to group 1, which cannot be matched in linear time")]
    [InlineData("deny: [{ posx: 'a' }]", "3:14: unknown key 'posx' in routes[0].deny; did you mean 'posix'?")]
    [InlineData("deny: [{ text: a, regex: b }]", "3:12: routes[0].deny has more than one pattern")]
    [InlineData("deny: [{ text: a, line: b }]", "3:23: unknown key 'line'")]
    [InlineData("allow: [{ text: a, line: '$1' }]", "3:30: '$1': $1 stands for nothing: the pattern has 0 groups")]
    [InlineData("allow: [{ text: a, line: \"b\\n\" }]", "3:30: routes[0].allow.line is a text with a line end in it")]
    [InlineData("allow: [[a]]", "3:13: routes[0].allow is a list; expected a regular expression in quotes")]
    [InlineData("rewrite: ['a']", "3:15: routes[0].rewrite is 'a'; expected { regex: PATTERN, with: TEXT }")]
    [InlineData("rewrite: [{ text: a }]", "3:15: routes[0].rewrite.with is missing")]
    [InlineData("longest: 5MiB", "3:14: routes[0].longest is '5MiB'; expected a size up to 4 MiB, such as 200B or 8KiB")]
    [InlineData("longest: 100", "3:14: routes[0].longest is '100'; expected a size")]
    [InlineData("expire: soon", "3:13: routes[0].expire is 'soon'; expected a duration")]
    [InlineData("batch: { lines: 10 }", "3:12: routes[0].batch.time is missing")]
    [InlineData("batch: { lines: 0, time: 5s }", "3:21: routes[0].batch.lines is '0'")]
    [InlineData("batch: { time: 2h }", "3:20: routes[0].batch.time is '2h'; expected how long lines may wait, at most 1 h")]
    [InlineData("mode: binary", "3:11: routes[0].mode is 'binary'; expected line or message")]
    [InlineData("except: 'a\\'", "3:13: routes[0].except is 'a\\', which ends within an escape")]
    public void What_is_wrong_is_said_with_its_place(string keys, string expected) =>
        Assert.Contains(expected, ConfigurationText.Problems("mounts: { m: { at: /m } }\nroutes:\n  - " + keys + "\n    to: { file: { path: /out } }\n"), StringComparison.Ordinal);

    [Theory]
    [InlineData("*.log", "", true)]
    [InlineData("a.log", "", true)]
    [InlineData("a.log", "match: '*.txt'", false)]
    [InlineData("*.log", "match: '*.log'", true)]
    [InlineData("*.log", "match: '*.txt'", false)]
    [InlineData("a.log", "match: '*.log', except: a.log", false)]
    public void Messages_of_files_that_are_passed_through_are_refused(string passthrough, string keys, bool isRefused)
    {
        var text = $$"""
            mounts: { m: { at: /m, passthrough: "{{passthrough}}" } }
            routes: [{ mode: message, to: { file: { path: /out } }{{(keys.Length > 0 ? ", " + keys : "")}} }]
            """;
        if (isRefused)
            Assert.Contains($"route all has mode: message and takes '{passthrough}'", ConfigurationText.Problems(text), StringComparison.Ordinal);
        else
            Assert.True(ConfigurationText.Load(text).Routes[0].Rules.IsMessage);
    }
}
