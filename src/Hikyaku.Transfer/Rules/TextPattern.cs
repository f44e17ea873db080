using System.Text;

namespace Hikyaku.Transfer.Rules;

/// <summary>A text that means itself.</summary>
internal sealed class TextPattern(string text) : LinePattern
{
    private readonly byte[] _text = Encoding.UTF8.GetBytes(text);
    private int _from;

    public override int Groups => 0;

    public override bool IsMatch(ReadOnlySpan<byte> line) => line.IndexOf(_text) >= 0;

    public override void Begin(ReadOnlySpan<byte> line) => _from = 0;

    public override bool TryNext(ReadOnlySpan<byte> line, Span<int> places)
    {
        places.Fill(-1);
        var found = _from > line.Length ? -1 : line[_from..].IndexOf(_text);
        if (found < 0)
            return false;
        places[0] = _from + found;
        places[1] = places[0] + _text.Length;
        _from = Math.Max(places[1], places[0] + 1);
        return true;
    }
}
