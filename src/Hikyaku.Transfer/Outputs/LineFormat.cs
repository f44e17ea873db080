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
    private readonly ByteBuffer _around = new();
    private readonly int _lineAt; // the piece that is the line, if there is just one
    private readonly bool _isPlain;

    public LineFormat(string format, string time, TimeZoneInfo zone)
    {
        _pieces = Parse(Encoding.UTF8.GetBytes(format));
        _time = new TimeLayout(time, zone);
        _lineAt = Array.FindIndex(_pieces, static p => p.Letter is 'L' or 'l');
        if (_lineAt != Array.FindLastIndex(_pieces, static p => p.Letter is 'L' or 'l'))
            _lineAt = -1;
        _isPlain = _pieces is [{ Letter: 'L' }];
    }

    /// <summary>Appends each line of the block as the format says.</summary>
    public void Write(ByteBuffer target, in LineBlock lines)
    {
        // Lines with LF between them and one behind them: nothing is to be done for each.
        if (lines.Count == 1 || _isPlain)
            Write(target, _pieces, lines);
        else if (_lineAt < 0)
            WriteEach(target, lines);
        else
            WriteAround(target, lines);
    }

    // What stands before and behind the line is the same for all of a block, and there is one line in it.
    private void WriteAround(ByteBuffer target, in LineBlock lines)
    {
        _around.Clear();
        Write(_around, _pieces.AsSpan(.._lineAt), lines);
        var headLength = _around.Length;
        if (_pieces[_lineAt].Letter == 'L')
            _around.Append((byte)'\n');
        Write(_around, _pieces.AsSpan((_lineAt + 1)..), lines);
        var head = _around.Written[..headLength];
        var tail = _around.Written[headLength..];
        var text = lines.Text;
        var span = target.GetSpan(text.Length + (lines.Count * _around.Length));
        var length = 0;
        for (var i = 0; i < lines.Count; i++)
        {
            var line = LineBlock.TakeLine(ref text);
            head.CopyTo(span[length..]);
            length += head.Length;
            line.CopyTo(span[length..]);
            length += line.Length;
            tail.CopyTo(span[length..]);
            length += tail.Length;
        }

        target.Advance(length);
    }

    private void WriteEach(ByteBuffer target, in LineBlock lines)
    {
        var text = lines.Text;
        for (var i = 0; i < lines.Count; i++)
            Write(target, _pieces, new LineBlock(lines.Source, lines.Time, LineBlock.TakeLine(ref text)));
    }

    private void Write(ByteBuffer target, ReadOnlySpan<Piece> pieces, in LineBlock line)
    {
        foreach (var piece in pieces)
        {
            switch (piece.Letter)
            {
                case 'L':
                    target.Append(line.Text);
                    if (!line.Source.IsMessage)
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
