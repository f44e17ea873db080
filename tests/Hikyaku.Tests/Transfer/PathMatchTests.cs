using System.Text;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;
using Hikyaku.Transfer.Rules;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class PathMatchTests
{
    [Theory]
    [InlineData("access.log", "access.log", true)]
    [InlineData("access.log", "deep/er/access.log", true)]
    [InlineData("access.log", "access.log.1", false)]
    [InlineData("access.log", "my-access.log", false)]
    [InlineData("/access.log", "access.log", true)]
    [InlineData("/access.log", "deep/access.log", false)]
    [InlineData("*.log", "a.log", true)]
    [InlineData("*.log", "d/a.log", true)]
    [InlineData("*.log", "a.log.gz", false)]
    [InlineData("d/*.log", "d/a.log", true)]
    [InlineData("d/*.log", "d/e/a.log", false)]
    [InlineData("d/**", "d/e/a.log", true)]
    [InlineData("d/**/a.log", "d/a.log", true)]
    [InlineData("d/**/a.log", "d/x/y/a.log", true)]
    [InlineData("d/**/a.log", "d/x/y/ba.log", false)]
    [InlineData("?.log", "a.log", true)]
    [InlineData("?.log", "ab.log", false)]
    [InlineData("a*b*c", "aXbYbZc", true)]
    [InlineData("a*b*c", "aXbYbZ", false)]
    [InlineData("**", "anything/at/all", true)]
    [InlineData("a\\*b", "a*b", true)]
    [InlineData("a\\*b", "aXb", false)]
    [InlineData("/d/\\?", "d/?", true)]
    [InlineData("/d/\\?", "d/x", false)]
    [InlineData("\\**", "*abc", true)]
    [InlineData("\\\\", "\\", true)]
    [InlineData("\\\\", "x", false)]
    public void Patterns_are_those_of_a_shell(string pattern, string path, bool expected) =>
        Assert.Equal(expected, new PathMatch([pattern]).Matches(Encoding.UTF8.GetBytes(path)));

    [Fact]
    public void No_pattern_matches_everything_and_any_of_several_will_do()
    {
        Assert.True(new PathMatch([]).Matches("x"u8));
        Assert.True(new PathMatch(["a", "x"]).Matches("x"u8));
    }

    [Fact]
    public void Exceptions_hold_whatever_else_matches()
    {
        Assert.False(new PathMatch([], ["x"]).Matches("x"u8));
        Assert.False(new PathMatch(["*"], ["a/**"]).Matches("a/x"u8));
        Assert.True(new PathMatch(["*"], ["a/**"]).Matches("b/x"u8));
    }

    [Fact]
    public void Many_stars_do_not_take_exponential_time()
    {
        var path = Encoding.UTF8.GetBytes(new string('a', 4000) + "b");
        Assert.False(new PathMatch([string.Concat(Enumerable.Repeat("a*", 30)) + "c"]).Matches(path));
    }

    [Theory]
    [InlineData("/out/{host}/{path}", "web1", "d/a.log", "/out/web1/d/a.log")]
    [InlineData("/out/{file}", "web1", "d/a.log", "/out/a.log")]
    [InlineData("/out/{path}", "web1", "../../etc/passwd", "/out/__/__/etc/passwd")]
    [InlineData("/out/{path}", "web1", "/etc/passwd", "/out/etc/passwd")]
    [InlineData("/out/{host}/x", "../evil/name", "p", "/out/___evil_name/x")]
    [InlineData("/out/{path}", "web1", "a//./b", "/out/a/_/b")]
    [InlineData("/out/{path}", "web1", "", "/out/_")]
    [InlineData("/out/{host}", "{path}", "../x", "/out/_path}")]
    public void Names_from_other_hosts_stay_below_the_directory(string template, string host, string path, string expected) =>
        Assert.Equal(expected, PathTemplate.Expand(template, new LineSource(Encoding.UTF8.GetBytes(host), Encoding.UTF8.GetBytes(path), 0, 0)));
}
