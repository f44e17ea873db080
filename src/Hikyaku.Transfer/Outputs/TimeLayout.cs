using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Hikyaku.Forward;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// A strftime(3) layout in the C locale and this host's time zone, with one letter of K2HFTFUSE's: %- is the nanoseconds of
/// the second, nine digits. What does not change within a second is formatted once a second.
/// </summary>
public sealed class TimeLayout
{
    private const long SecondNs = 1_000_000_000;

    private readonly string[] _pieces; // the layout, cut at each %-
    private readonly byte[][] _formatted;
    private readonly TimeZoneInfo _zone;
    private long _second = long.MinValue;

    public TimeLayout(string layout, TimeZoneInfo zone)
    {
        _zone = zone;
        _pieces = Cut(layout);
        _formatted = new byte[_pieces.Length][];
    }

    /// <param name="time">Unix time in ns.</param>
    public void Write(ByteBuffer target, long time)
    {
        var second = Math.DivRem(time, SecondNs, out var nanoseconds);
        if (nanoseconds < 0)
        {
            second--;
            nanoseconds += SecondNs;
        }

        if (second != _second)
            FormatSecond(second);

        target.Append(_formatted[0]);
        Span<byte> digits = stackalloc byte[9];
        for (var i = 1; i < _formatted.Length; i++)
        {
            Utf8Formatter.TryFormat(nanoseconds, digits, out _, new System.Buffers.StandardFormat('D', 9));
            target.Append(digits);
            target.Append(_formatted[i]);
        }
    }

    private static string[] Cut(string layout)
    {
        var pieces = new List<string>();
        var piece = new StringBuilder();
        for (var i = 0; i < layout.Length; i++)
        {
            if (layout[i] != '%' || i + 1 == layout.Length)
            {
                piece.Append(layout[i]);
            }
            else if (layout[++i] == '-')
            {
                pieces.Add(piece.ToString());
                piece.Clear();
            }
            else
            {
                piece.Append('%').Append(layout[i]);
            }
        }

        pieces.Add(piece.ToString());
        return [.. pieces];
    }

    private void FormatSecond(long second)
    {
        var utc = DateTimeOffset.FromUnixTimeSeconds(second);
        var local = TimeZoneInfo.ConvertTime(utc, _zone);
        for (var i = 0; i < _pieces.Length; i++)
            _formatted[i] = Encoding.UTF8.GetBytes(Format(_pieces[i], local));
        _second = second;
    }

    private string Format(string layout, DateTimeOffset t)
    {
        var text = new StringBuilder();
        for (var i = 0; i < layout.Length; i++)
        {
            if (layout[i] != '%' || i + 1 == layout.Length)
                text.Append(layout[i]);
            else
                AppendLetter(text, layout[++i], t);
        }

        return text.ToString();
    }

    private void AppendLetter(StringBuilder text, char letter, DateTimeOffset t)
    {
        var c = CultureInfo.InvariantCulture;
        var hour12 = t.Hour % 12 == 0 ? 12 : t.Hour % 12;
        var weekday = (int)t.DayOfWeek;
        switch (letter)
        {
            case 'a': text.Append(t.ToString("ddd", c)); break;
            case 'A': text.Append(t.ToString("dddd", c)); break;
            case 'b' or 'h': text.Append(t.ToString("MMM", c)); break;
            case 'B': text.Append(t.ToString("MMMM", c)); break;
            case 'c': text.Append(Format("%a %b %e %H:%M:%S %Y", t)); break;
            case 'C': text.Append(c, $"{t.Year / 100:D2}"); break;
            case 'd': text.Append(c, $"{t.Day:D2}"); break;
            case 'D' or 'x': text.Append(Format("%m/%d/%y", t)); break;
            case 'e': text.Append(c, $"{t.Day,2}"); break;
            case 'F': text.Append(Format("%Y-%m-%d", t)); break;
            case 'g': text.Append(c, $"{ISOWeek.GetYear(t.DateTime) % 100:D2}"); break;
            case 'G': text.Append(c, $"{ISOWeek.GetYear(t.DateTime)}"); break;
            case 'H': text.Append(c, $"{t.Hour:D2}"); break;
            case 'I': text.Append(c, $"{hour12:D2}"); break;
            case 'j': text.Append(c, $"{t.DayOfYear:D3}"); break;
            case 'k': text.Append(c, $"{t.Hour,2}"); break;
            case 'l': text.Append(c, $"{hour12,2}"); break;
            case 'm': text.Append(c, $"{t.Month:D2}"); break;
            case 'M': text.Append(c, $"{t.Minute:D2}"); break;
            case 'n': text.Append('\n'); break;
            case 'p': text.Append(t.Hour < 12 ? "AM" : "PM"); break;
            case 'P': text.Append(t.Hour < 12 ? "am" : "pm"); break;
            case 'r': text.Append(Format("%I:%M:%S %p", t)); break;
            case 'R': text.Append(Format("%H:%M", t)); break;
            case 's': text.Append(c, $"{t.ToUnixTimeSeconds()}"); break;
            case 'S': text.Append(c, $"{t.Second:D2}"); break;
            case 't': text.Append('\t'); break;
            case 'T' or 'X': text.Append(Format("%H:%M:%S", t)); break;
            case 'u': text.Append(weekday == 0 ? 7 : weekday); break;
            case 'U': text.Append(c, $"{(t.DayOfYear + 6 - weekday) / 7:D2}"); break;
            case 'V': text.Append(c, $"{ISOWeek.GetWeekOfYear(t.DateTime):D2}"); break;
            case 'w': text.Append(weekday); break;
            case 'W': text.Append(c, $"{(t.DayOfYear + 6 - ((weekday + 6) % 7)) / 7:D2}"); break;
            case 'y': text.Append(c, $"{t.Year % 100:D2}"); break;
            case 'Y': text.Append(c, $"{t.Year}"); break;
            case 'z': text.Append(c, $"{(t.Offset < TimeSpan.Zero ? '-' : '+')}{t.Offset:hhmm}"); break;
            case 'Z': text.Append(ZoneName(t)); break;
            case '%': text.Append('%'); break;
            default: text.Append('%').Append(letter); break; // as the C library does with a letter it does not know
        }
    }

    private string ZoneName(DateTimeOffset t)
    {
        if (_zone.BaseUtcOffset == TimeSpan.Zero && !_zone.SupportsDaylightSavingTime)
            return "UTC";
        return _zone.IsDaylightSavingTime(t) ? _zone.DaylightName : _zone.StandardName;
    }
}
