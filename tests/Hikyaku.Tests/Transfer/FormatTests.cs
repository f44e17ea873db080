using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class FormatTests
{
    // 2016-12-01 13:05:09.000000042 UTC, a Thursday.
    private const long Time = 1_480_597_509_000_000_042;

    private static readonly TimeZoneInfo Tokyo = TimeZoneInfo.CreateCustomTimeZone("JST", TimeSpan.FromHours(9), "JST", "JST");

    [Theory]
    [InlineData("%L", "the line\n")]
    [InlineData("%l", "the line")]
    [InlineData("%H:%F(%P):%f[%T] %L", "web1:logs/access.log(4711):access.log[2016-12-01 22:05:09(1480597509 000000042)] the line\n")]
    [InlineData("100%% %x %", "100% %x %")]
    [InlineData("\\t%l\\x0a\\\\", "\tthe line\n\\")]
    [InlineData("plain", "plain")]
    public void Every_letter_of_the_format_is_replaced(string format, string expected) =>
        Assert.Equal(expected, Written(new LineFormat(format, "%F %T(%s %-)", Tokyo)));

    [Theory]
    [InlineData("%L")]
    [InlineData("%l")]
    [InlineData("%H:%F(%P):%f[%T] %L")]
    [InlineData("%H %l|%P")]
    [InlineData("%l%T")]
    [InlineData("%L%L")]
    [InlineData("%l %H %L")]
    [InlineData("%H %T\\n")]
    public void A_block_is_written_as_its_lines_are(string format)
    {
        var source = new LineSource("web1"u8.ToArray(), "logs/access.log"u8.ToArray(), 4711, 33);
        var layout = new LineFormat(format, "%F %T(%s %-)", Tokyo);
        var (block, single) = (new ByteBuffer(), new ByteBuffer());
        foreach (var text in new[] { "one\ntwo", "\n", "\n\n", "a\n\nb", new string('x', 1000) + "\ny\n" })
        {
            layout.Write(block, new LineBlock(source, Time, Encoding.UTF8.GetBytes(text), text.Split('\n').Length));
            foreach (var line in text.Split('\n'))
                layout.Write(single, new LineBlock(source, Time, Encoding.UTF8.GetBytes(line)));
        }

        Assert.Equal(Encoding.UTF8.GetString(single.Written), Encoding.UTF8.GetString(block.Written));
    }

    [Fact]
    public void A_line_that_has_a_line_end_in_it_is_one_line()
    {
        var buffer = new ByteBuffer();
        new LineFormat("<%l>", "", Tokyo).Write(buffer, new LineBlock(new LineSource([], [], 0, 0), Time, "a\nb"u8));

        Assert.Equal("<a\nb>", Encoding.UTF8.GetString(buffer.Written));
    }

    [Theory]
    [InlineData("%F %T", "2016-12-01 22:05:09")]
    [InlineData("%Y%m%d%H%M%S.%-", "20161201220509.000000042")]
    [InlineData("%a %A %b %B %h", "Thu Thursday Dec December Dec")]
    [InlineData("%d/%b/%Y:%H:%M:%S %z", "01/Dec/2016:22:05:09 +0900")]
    [InlineData("%c|%D|%r|%R|%x|%X", "Thu Dec  1 22:05:09 2016|12/01/16|10:05:09 PM|22:05|12/01/16|22:05:09")]
    [InlineData("%e %I %j %k %l %p %P %u %w %y %C %G %g %V %U %W", " 1 10 336 22 10 PM pm 4 4 16 20 2016 16 48 48 48")]
    [InlineData("%Z %n%t%% %q", "JST \n\t% %q")]
    [InlineData("%-%-", "000000042000000042")]
    public void Time_layouts_are_those_of_strftime(string layout, string expected) => Assert.Equal(expected, Written(new LineFormat("%T", layout, Tokyo)));

    [Fact]
    public void The_next_second_is_formatted_anew()
    {
        var buffer = new ByteBuffer();
        var layout = new TimeLayout("%T.%-|", TimeZoneInfo.Utc);
        foreach (var time in new[] { 999_999_999L, 1_000_000_000L, 999_999_998L, -1L })
            layout.Write(buffer, time);
        Assert.Equal("00:00:00.999999999|00:00:01.000000000|00:00:00.999999998|23:59:59.999999999|", Encoding.UTF8.GetString(buffer.Written));
    }

    private static string Written(LineFormat format)
    {
        var buffer = new ByteBuffer();
        var source = new LineSource("web1"u8.ToArray(), "logs/access.log"u8.ToArray(), 4711, 33);
        format.Write(buffer, new LineBlock(source, Time, "the line"u8));
        return Encoding.UTF8.GetString(buffer.Written);
    }
}
