using System.Text;
using Hikyaku.Forward;

namespace Hikyaku.Transfer.Rules;

/// <summary>What a match becomes: $0 to $9 stand for its groups, &amp; for the whole; a backslash makes what follows mean itself.</summary>
internal sealed class LineTemplate
{
    private readonly record struct Piece(int Group, byte[] Literal);

    private readonly List<Piece> _pieces = [];

    public LineTemplate(string template)
    {
        var text = Encoding.UTF8.GetBytes(template);
        var literal = new List<byte>();
        for (var i = 0; i < text.Length; i++)
        {
            switch (text[i])
            {
                case (byte)'&':
                    Add(literal, 0);
                    break;
                case (byte)'$' when i + 1 < text.Length && text[i + 1] is >= (byte)'0' and <= (byte)'9':
                    Add(literal, text[++i] - '0');
                    break;
                case (byte)'\\' when i + 1 < text.Length:
                    literal.Add(text[++i]);
                    break;
                default:
                    literal.Add(text[i]);
                    break;
            }
        }

        if (literal.Count > 0)
            _pieces.Add(new Piece(-1, [.. literal]));
        HighestGroup = _pieces.Select(static p => p.Group).Append(0).Max();
    }

    /// <summary>The highest group it names.</summary>
    public int HighestGroup { get; }

    /// <summary>Appends what the match at <paramref name="places"/> of the line becomes.</summary>
    public void Write(ByteBuffer target, ReadOnlySpan<byte> line, ReadOnlySpan<int> places)
    {
        foreach (var piece in _pieces)
        {
            if (piece.Group < 0)
                target.Append(piece.Literal);
            else if (places[2 * piece.Group] is >= 0 and var start)
                target.Append(line[start..places[(2 * piece.Group) + 1]]);
        }
    }

    private void Add(List<byte> literal, int group)
    {
        if (literal.Count > 0)
            _pieces.Add(new Piece(-1, [.. literal]));
        literal.Clear();
        _pieces.Add(new Piece(group, []));
    }
}
