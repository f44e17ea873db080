using System.Buffers.Text;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// The output format of K2HFTFUSE: %H host, %P process id, %F path, %f file name, %T time, %L line with its end, %l line
/// without, %% per cent; backslash escapes a b f n r t xNN. Any other letter is printed as it stands.
/// </summary>
public sealed class LineFormat
{
    private readonly record struct Piece(char Letter, byte[] Literal);

    private readonly Piece[] _pieces;
    private readonly TimeLayout _time;

    public LineFormat(string format, string time, TimeZoneInfo zone)
    {
        _pieces = Parse(Encoding.UTF8.GetBytes(format));
        _time = new TimeLayout(time, zone);
    }

    public void Write(ByteBuffer target, in Line line)
    {
        foreach (var piece in _pieces)
        {
            switch (piece.Letter)
            {
                case 'L':
                    target.Append(line.Text);
                    target.Append((byte)'\n');
                    break;
                case 'l': target.Append(line.Text); break;
                case 'T': _time.Write(target, line.Time); break;
                case 'H': target.Append(line.Source.Host); break;
                case 'F': target.Append(line.Source.Path); break;
                case 'f': target.Append(line.Source.File); break;
                case 'P': WriteNumber(target, line.Source.Pid); break;
                default: target.Append(piece.Literal); break;
            }
        }
    }

    private static void WriteNumber(ByteBuffer target, uint value)
    {
        Span<byte> digits = stackalloc byte[10];
        Utf8Formatter.TryFormat(value, digits, out var length);
        target.Append(digits[..length]);
    }

    private static Piece[] Parse(ReadOnlySpan<byte> format)
    {
        var pieces = new List<Piece>();
        var literal = new List<byte>();
        for (var i = 0; i < format.Length; i++)
        {
            var c = format[i];
            if (c == '%' && i + 1 < format.Length)
            {
                var letter = (char)format[++i];
                if ("HPFfTLl".Contains(letter, StringComparison.Ordinal))
                {
                    Flush(pieces, literal);
                    pieces.Add(new Piece(letter, []));
                }
                else
                {
                    if (letter != '%')
                        literal.Add((byte)'%');
                    literal.Add((byte)letter);
                }
            }
            else if (c == '\\' && i + 1 < format.Length)
            {
                i = AppendEscape(literal, format, i + 1);
            }
            else
            {
                literal.Add(c);
            }
        }

        Flush(pieces, literal);
        return [.. pieces];
    }

    private static void Flush(List<Piece> pieces, List<byte> literal)
    {
        if (literal.Count > 0)
            pieces.Add(new Piece('\0', [.. literal]));
        literal.Clear();
    }

    // Returns the index of the last byte that belongs to the escape.
    private static int AppendEscape(List<byte> literal, ReadOnlySpan<byte> format, int at)
    {
        if (format[at] == 'x' && at + 2 < format.Length && Utf8Parser.TryParse(format.Slice(at + 1, 2), out byte value, out var used, 'x') && used == 2)
        {
            literal.Add(value);
            return at + 2;
        }

        literal.Add((char)format[at] switch
        {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            _ => format[at],
        });
        return at;
    }
}
