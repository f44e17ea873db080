using Hikyaku.Forward;
using Hikyaku.Transfer.Plugins;
using Xunit;

namespace Hikyaku.Tests.Outputs;

public sealed class PluginCommandTests
{
    [Theory]
    [InlineData("", new string[0])]
    [InlineData("  cat\t-n\n", new[] { "cat", "-n" })]
    [InlineData("a'b c'd \"e \\\" f\\\\ \\g\" '' h\\ i '\\'", new[] { "ab cd", "e \" f\\ \\g", "", "h i", "\\" })]
    [InlineData("grep 'it''s' $HOME | *", new[] { "grep", "its", "$HOME", "|", "*" })]
    public void Words_are_taken_apart_as_a_shell_does_and_nothing_else_is_done_to_them(string text, string[] words) => Assert.Equal(words, PluginCommand.Split(text));

    [Theory]
    [InlineData("'")]
    [InlineData("a \"b")]
    [InlineData("a\\")]
    public void A_quote_without_its_end_is_no_command(string text) => Assert.Null(PluginCommand.Split(text));

    [Fact]
    public void Words_with_an_equals_sign_in_front_are_variables()
    {
        var command = PluginCommand.Of(["TZ=UTC", "A_1=", "2=x", "B=y"])!;
        Assert.Equal(["TZ=UTC", "A_1="], command.Environment);
        Assert.Equal(["2=x", "B=y"], command.Words);
        Assert.Null(PluginCommand.Of(["A=1"]));
    }

    [Theory]
    [InlineData("", false, 0)]
    [InlineData("12", false, 0)]
    [InlineData("12\nx", true, 12)]
    [InlineData("0\n", true, 0)]
    [InlineData("-1\n", false, -1)]
    [InlineData("1x\n", false, -1)]
    [InlineData("\n", false, -1)]
    [InlineData("99999999999\n", false, -1)]
    public void The_head_of_a_frame_is_digits_and_a_line_end(string text, bool whole, int length)
    {
        var bytes = System.Text.Encoding.ASCII.GetBytes(text).AsSpan();
        ReadOnlySpan<byte> rest = bytes;
        Assert.Equal(whole, Frame.TryReadHead(ref rest, out var read));
        Assert.Equal(length, read);
    }

    [Theory]
    [InlineData("ab\ncd\nef\n", Framing.Line, new[] { 0, 0, 0, 3, 3, 3, 6, 6, 6, 9 })]
    [InlineData("2\nab0\n1\nc", Framing.Length, new[] { 0, 0, 0, 0, 4, 4, 6, 6, 6, 9 })]
    public void What_was_not_read_begins_with_the_line_that_was_not_read_to_its_end(string text, Framing framing, int[] starts) =>
        Assert.Equal(starts, Enumerable.Range(0, text.Length + 1).Select(at => Frame.StartOf(System.Text.Encoding.ASCII.GetBytes(text), at, framing)));

    [Fact]
    public void A_frame_is_its_length_and_its_bytes()
    {
        var buffer = new ByteBuffer();
        Frame.WriteHead(buffer, 1234567890);
        Assert.Equal("1234567890\n"u8, buffer.Written);
    }
}
