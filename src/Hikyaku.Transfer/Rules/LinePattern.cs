namespace Hikyaku.Transfer.Rules;

/// <summary>
/// Something to be found in a line. Serves one pump: it remembers where it stands in the line it looks through. The time it takes is
/// linear in the length of the line.
/// </summary>
internal abstract class LinePattern
{
    /// <summary>Groups that a template can name: $0 to $9.</summary>
    public const int PlacesMax = 10;

    /// <summary>How many groups it has beside the whole match.</summary>
    public abstract int Groups { get; }

    /// <summary>Whether it occurs in the line.</summary>
    public abstract bool IsMatch(ReadOnlySpan<byte> line);

    /// <summary>Begins to look through a line for occurrences.</summary>
    public abstract void Begin(ReadOnlySpan<byte> line);

    /// <summary>
    /// The next occurrence in the line, behind those before. <paramref name="places"/>: start and end of the whole and of each group, as many as
    /// fit; -1 for a group that took no part.
    /// </summary>
    public abstract bool TryNext(ReadOnlySpan<byte> line, Span<int> places);

    /// <exception cref="PatternException">It cannot be used.</exception>
    public static LinePattern Make(PatternSettings settings, LineText text) => settings.Kind switch
    {
        PatternKind.Text => new TextPattern(settings.Text),
        PatternKind.Posix => new PosixPattern(settings.Text),
        _ => new RegexPattern(settings.Text, text),
    };
}
