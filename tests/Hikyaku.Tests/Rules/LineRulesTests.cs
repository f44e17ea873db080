using System.Diagnostics;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;
using Xunit;

namespace Hikyaku.Tests.Rules;

public sealed class LineRulesTests
{
    private static readonly LineSource Source = new("host"u8.ToArray(), "path"u8.ToArray(), 1, 2);

    [Fact]
    public void Without_rules_there_is_nothing_to_do()
    {
        Assert.Null(LineRules.Of(new RuleSettings { Except = ["x"], IsMessage = true }));
        Assert.NotNull(LineRules.Of(new RuleSettings { Longest = 10 }));
    }

    [Fact]
    public void The_first_pattern_of_allow_that_matches_decides_what_the_line_becomes()
    {
        var rules = new RuleSettings
        {
            Allow = [new(Regex("^keep")), new(Posix("(.*)ERR(.*)"), "$1$2|&"), new(Text("word"), "\\$0 $0")],
        };
        Assert.Equal(["keep ERR", "a b|a ERRb", "$0 word"], Passed(rules, "keep ERR", "a ERRb", "nothing", "a word"));
    }

    [Fact]
    public void Deny_sees_the_line_as_it_came_and_rewriting_what_passes()
    {
        var rules = new RuleSettings
        {
            Allow = [new(Regex("secret=(\\d+)"), "s=$1"), new(Text(""))],
            Deny = [Text("DEBUG")],
            Rewrite = [new(Regex("\\d"), "#"), new(Text("#"), "<&>")],
        };
        Assert.Equal(["s=<#><#>", "x", ""], Passed(rules, "my secret=42", "x", "DEBUG secret=1", ""));
    }

    [Theory]
    [InlineData("\\d+", "N", "a1b22", "aNbN")]
    [InlineData("x*", "-", "axb", "-a--b-")]
    [InlineData("(\\w)(\\w)", "$2$1", "abcd!", "badc!")]
    [InlineData("ü", "ue", "für üb", "fuer ueb")]
    [InlineData("^.(.)", "$1", "äöü", "öü")]
    [InlineData("a.c", "&&", "aéc", "aécaéc")]
    [InlineData("(?i)PASS", "", "My Password pass", "My word ")]
    public void Expressions_of_dotnet_replace_every_occurrence(string pattern, string with, string line, string expected) =>
        Assert.Equal([expected], Passed(new RuleSettings { Rewrite = [new(Regex(pattern), with)] }, line));

    [Fact]
    public void Bytes_that_are_not_text_are_single_characters_and_stay_what_they_are()
    {
        byte[] line = [0xff, (byte)'a', 0xc3, (byte)'x', 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0x80];
        var rules = new RuleSettings { Allow = [new(Regex("^.a.x€..(.)$"))], Rewrite = [new(Regex("x(.)"), "$1$1")] };
        byte[] expected = [0xff, (byte)'a', 0xc3, 0xe2, 0x82, 0xac, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0x80];
        var chunk = new Gathered();
        LineRules.Of(rules)!.Pass(chunk, new LineBlock(Source, 1, line));
        Assert.Equal(expected, Assert.Single(chunk.Blocks).Text);
    }

    [Fact]
    public void Lines_that_pass_unchanged_stay_together_in_their_block()
    {
        var rules = LineRules.Of(new RuleSettings { Deny = [Text("no")], Rewrite = [new(Text("old"), "new"), new(Text("new"), "NEW")], Longest = 6 })!;
        var chunk = new Gathered();
        rules.Pass(chunk, Block("a", "b", "no", "c", "", "old", "xold", "too long", "d", "no", "no", "e"));
        Assert.Equal(["a\nb/2", "c\n/2", "NEW\nxNEW/2", "d/1", "e/1"], chunk.Blocks.Select(static b => $"{Encoding.UTF8.GetString(b.Text)}/{b.Count}"));
        Assert.Equal((3, 1), (rules.Denied, rules.TooLong));
    }

    [Fact]
    public void A_block_whose_lines_all_pass_is_given_as_it_came()
    {
        var rules = LineRules.Of(new RuleSettings { Deny = [Regex("x$"), Posix("y+")], Longest = 100 })!;
        var chunk = new Gathered();
        rules.Pass(chunk, Block("a", "", "c"));
        rules.Pass(chunk, Block("", ""));
        Assert.Equal(["a\n\nc/3", "\n/2"], chunk.Blocks.Select(static b => $"{Encoding.UTF8.GetString(b.Text)}/{b.Count}"));
    }

    [Fact]
    public void A_line_that_grows_beyond_all_bounds_is_too_long_and_not_made()
    {
        var rules = LineRules.Of(new RuleSettings { Rewrite = [new(Text("a"), new string('b', 1000)), new(Text("b"), new string('a', 1000))] })!;
        var chunk = new Gathered();
        rules.Pass(chunk, Block(new string('a', 100_000)));
        Assert.Empty(chunk.Blocks);
        Assert.Equal(1, rules.TooLong);
    }

    [Fact]
    public void What_is_changed_makes_blocks_of_bounded_length()
    {
        var rules = LineRules.Of(new RuleSettings { Rewrite = [new(Text("a"), new string('b', 100_000))] })!;
        var chunk = new Gathered();
        rules.Pass(chunk, Block("a", "a", "a", "a", "a"));
        Assert.Equal(5, chunk.Blocks.Sum(static b => b.Count));
        Assert.All(chunk.Blocks, static b => Assert.True(b.Text.Length <= LineBlock.BytesMax));
    }

    [Theory]
    [InlineData("(?=a)b")]
    [InlineData("(a)\\1")]
    [InlineData("(?>a)")]
    [InlineData("(?<!a)b")]
    public void What_cannot_be_matched_in_linear_time_is_refused_with_the_reason(string pattern) =>
        Assert.Contains("linear time", Regex(pattern).Problem(), StringComparison.Ordinal);

    [Theory]
    [InlineData("(a", "at character 2")]
    [InlineData("a{2,1}", "at character 6")]
    public void What_is_no_expression_is_refused_with_the_place(string pattern, string expected) =>
        Assert.Contains(expected, Regex(pattern).Problem(), StringComparison.Ordinal);

    [Fact]
    public void Repetitions_that_multiply_are_refused_in_no_time() =>
        Assert.Contains("repetitions of thousands", Regex("(((a{100}){100}){100}){100}").Problem(), StringComparison.Ordinal);

    [Fact]
    public void A_template_names_groups_that_there_are()
    {
        Assert.Null(Regex("(a)(b)").Problem("$2$1$0&"));
        Assert.Contains("$3 stands for nothing", Regex("(a)(b)").Problem("$3"), StringComparison.Ordinal);
        Assert.Contains("$1 stands for nothing", Text("(a)").Problem("$1"), StringComparison.Ordinal);
    }

    // Thousands of states in one step make the time for each byte long; the line is shorter then.
    public static TheoryData<PatternKind, string, int> Hostile => new()
    {
        { PatternKind.Regex, "(a+)+$", 1 << 20 },
        { PatternKind.Posix, "(a+)+$", 1 << 20 },
        { PatternKind.Regex, "(a|aa)*b", 1 << 20 },
        { PatternKind.Posix, "(a|aa)*b", 1 << 20 },
        { PatternKind.Regex, "((a{1,5}){1,5}){1,5}c", 1 << 15 },
        { PatternKind.Posix, "((a{1,5}){1,5}){1,5}c", 1 << 20 },
        { PatternKind.Regex, "(.*)(.*)(.*)(.*)c", 1 << 20 },
        { PatternKind.Posix, "(.*)(.*)(.*)(.*)c", 1 << 20 },
        { PatternKind.Posix, "a(.*c|)", 1 << 20 },
        { PatternKind.Posix, "((a*)*)*x", 1 << 20 },
        { PatternKind.Posix, "(a|b)*a(a|b){12}c", 1 << 20 },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public void Time_grows_with_the_length_of_the_line_and_not_with_its_square(PatternKind kind, string pattern, int length)
    {
        var settings = new PatternSettings(kind, pattern);
        Assert.Null(settings.Problem());
        var rules = new RuleSettings { Allow = [new(settings), new(Text(""))], Rewrite = [new(settings, "&$0")] };
        TimeFor(rules, length / 8);
        // The square would take 64 times as long, and seconds.
        var (eighth, whole) = (Best(rules, length / 8), Best(rules, length));
        Assert.True(whole < (32 * eighth) + TimeSpan.FromMilliseconds(250), $"{length / 8} bytes take {eighth.TotalMilliseconds} ms, {length} take {whole.TotalMilliseconds} ms");
    }

    private static TimeSpan Best(RuleSettings rules, int length) => Enumerable.Range(0, 3).Select(_ => TimeFor(rules, length)).Min();

    private static TimeSpan TimeFor(RuleSettings settings, int length)
    {
        var line = new byte[length];
        line.AsSpan().Fill((byte)'a');
        line[^1] = (byte)'!';
        var rules = LineRules.Of(settings)!;
        var chunk = new Gathered();
        var start = Stopwatch.GetTimestamp();
        rules.Pass(chunk, new LineBlock(Source, 1, line));
        return Stopwatch.GetElapsedTime(start);
    }

    private static PatternSettings Text(string text) => new(PatternKind.Text, text);

    private static PatternSettings Regex(string text) => new(PatternKind.Regex, text);

    private static PatternSettings Posix(string text) => new(PatternKind.Posix, text);

    private static LineBlock Block(params string[] lines) => new(Source, 1, Encoding.UTF8.GetBytes(string.Join('\n', lines)), lines.Length);

    private static string[] Passed(RuleSettings settings, params string[] lines)
    {
        var chunk = new Gathered();
        LineRules.Of(settings)!.Pass(chunk, Block(lines));
        return [.. chunk.Blocks.SelectMany(static b => Encoding.UTF8.GetString(b.Text).Split('\n'))];
    }

    private sealed class Gathered : Chunk
    {
        public List<(byte[] Text, int Count)> Blocks { get; } = [];

        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in LineBlock lines) => Blocks.Add((lines.Text.ToArray(), lines.Count));
    }
}
