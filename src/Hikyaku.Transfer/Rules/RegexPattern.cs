using System.Text.RegularExpressions;

namespace Hikyaku.Transfer.Rules;

/// <summary>A regular expression of .NET, matched without backtracking: no line makes it take more than linear time.</summary>
internal sealed class RegexPattern : LinePattern
{
    // What the construction may grow to: nested repetitions multiply.
    private const int StatesMax = 10_000;

    private readonly Regex _regex;
    private readonly LineText _text;
    private int _from;

    static RegexPattern() => AppContext.SetData("REGEX_NONBACKTRACKING_MAX_AUTOMATA_SIZE", StatesMax);

    public RegexPattern(string pattern, LineText text)
    {
        _text = text;
        try
        {
            _regex = new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (RegexParseException e)
        {
            throw new PatternException($"is no regular expression at character {e.Offset}: {e.Error}");
        }
        catch (NotSupportedException)
        {
            throw new PatternException("cannot be matched in linear time: look-around, back-references, atomic groups, conditions, \\G and repetitions of thousands are not to be had");
        }

        Groups = _regex.GetGroupNumbers().Max();
    }

    public override int Groups { get; }

    public override bool IsMatch(ReadOnlySpan<byte> line) => _regex.IsMatch(_text.Of(line));

    public override void Begin(ReadOnlySpan<byte> line) => _from = 0;

    public override bool TryNext(ReadOnlySpan<byte> line, Span<int> places)
    {
        places.Fill(-1);
        var text = _text.Of(line);
        if (_from > text.Length)
            return false;
        var found = _regex.EnumerateMatches(text, _from);
        if (!found.MoveNext())
            return false;
        var (start, end) = (found.Current.Index, found.Current.Index + found.Current.Length);
        (places[0], places[1]) = (_text.ByteAt(start), _text.ByteAt(end));
        if (places.Length > 2 && Groups > 0)
            Find(line, places);
        _from = Math.Max(end, start + 1);
        return true;
    }

    // Groups are only told of strings.
    private void Find(ReadOnlySpan<byte> line, Span<int> places)
    {
        var match = _regex.Match(_text.WholeOf(line), _from);
        for (var group = 1; group <= Groups && 2 * group < places.Length; group++)
        {
            if (match.Groups[group] is { Success: true } part)
                (places[2 * group], places[(2 * group) + 1]) = (_text.ByteAt(part.Index), _text.ByteAt(part.Index + part.Length));
        }
    }
}
