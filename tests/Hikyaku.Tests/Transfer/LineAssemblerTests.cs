using System.Text;
using Hikyaku.Transfer.Lines;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class LineAssemblerTests
{
    [Theory]
    [InlineData("whole line", new[] { "one\n" }, new[] { "one" }, "")]
    [InlineData("two lines in one write", new[] { "one\ntwo\n" }, new[] { "one", "two" }, "")]
    [InlineData("a line in three writes", new[] { "o", "n", "e\n" }, new[] { "one" }, "")]
    [InlineData("the end of one and the start of the next", new[] { "on", "e\ntw", "o\n" }, new[] { "one", "two" }, "")]
    [InlineData("empty lines", new[] { "\n\na\n\n" }, new[] { "", "", "a", "" }, "")]
    [InlineData("a line end alone", new[] { "one", "\n" }, new[] { "one" }, "")]
    [InlineData("carriage returns stay", new[] { "one\r\n\rtwo\n" }, new[] { "one\r", "\rtwo" }, "")]
    [InlineData("NUL bytes stay", new[] { "a\0b\n" }, new[] { "a\0b" }, "")]
    [InlineData("no line end", new[] { "one\ntail" }, new[] { "one" }, "tail")]
    public void Lines_end_at_line_feeds_only(string why, string[] writes, string[] expected, string tail)
    {
        var assembler = new LineAssembler();
        var lines = new List<string>();
        foreach (var write in writes)
        {
            ReadOnlySpan<byte> data = Encoding.UTF8.GetBytes(write);
            while (assembler.TryNext(ref data, out var line))
                lines.Add(Encoding.UTF8.GetString(line));
        }

        Assert.True(expected.SequenceEqual(lines), why);
        Assert.Equal(tail, Encoding.UTF8.GetString(assembler.Tail));
        Assert.Equal(tail.Length > 0, assembler.TryEnd(out var end));
        Assert.Equal(tail, Encoding.UTF8.GetString(end));
    }

    [Fact]
    public void A_line_beyond_the_limit_comes_in_pieces_and_loses_no_byte()
    {
        var assembler = new LineAssembler();
        var whole = new byte[LineAssembler.LineBytesMax * 2 + 100];
        new Random(3).NextBytes(whole);
        whole.AsSpan().Replace((byte)'\n', (byte)'x');
        whole[^1] = (byte)'\n';
        var joined = new List<byte>();
        var pieces = 0;
        for (var at = 0; at < whole.Length; at += 1_000_000)
        {
            ReadOnlySpan<byte> data = whole.AsSpan(at, Math.Min(1_000_000, whole.Length - at));
            while (assembler.TryNext(ref data, out var line))
            {
                joined.AddRange(line);
                pieces++;
            }
        }

        Assert.Equal(whole[..^1], joined.ToArray());
        Assert.Equal(3, pieces);
        Assert.Equal(2, assembler.Cut);
    }

    [Fact]
    public void However_the_bytes_are_cut_the_lines_are_the_same()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var bytes = new byte[random.Next(1, 400)];
            random.NextBytes(bytes);
            for (var i = 0; i < bytes.Length; i++)
            {
                if (random.Next(8) == 0)
                    bytes[i] = (byte)'\n';
            }

            var assembler = new LineAssembler();
            var joined = new List<byte>();
            for (var at = 0; at < bytes.Length;)
            {
                var take = random.Next(1, bytes.Length - at + 1);
                ReadOnlySpan<byte> data = bytes.AsSpan(at, take);
                while (assembler.TryNext(ref data, out var line))
                {
                    joined.AddRange(line);
                    joined.Add((byte)'\n');
                }

                at += take;
                // A restart in between keeps the tail.
                var tail = assembler.Tail.ToArray();
                assembler = new LineAssembler();
                assembler.Restore(tail);
            }

            joined.AddRange(assembler.Tail);
            Assert.True(bytes.AsSpan().SequenceEqual(joined.ToArray()), $"seed {seed}");
        }
    }
}
