namespace Hikyaku.Transfer.Rules;

/// <summary>What a route does with the lines of the files it takes. As it is made, every line passes, unchanged and at once.</summary>
public sealed record RuleSettings
{
    /// <summary>Paths that match any of these are not the route's, whatever it matches.</summary>
    public IReadOnlyList<string> Except { get; init; } = [];

    /// <summary>Each write(2) is one message, byte for byte.</summary>
    public bool IsMessage { get; init; }

    /// <summary>If there are any, only lines that one of these matches pass; the first that does decides.</summary>
    public IReadOnlyList<AllowSettings> Allow { get; init; } = [];

    /// <summary>Lines that any of these matches do not pass.</summary>
    public IReadOnlyList<PatternSettings> Deny { get; init; } = [];

    /// <summary>Every occurrence is replaced, one after the other.</summary>
    public IReadOnlyList<RewriteSettings> Rewrite { get; init; } = [];

    /// <summary>Longer lines are not carried. Bytes, without the line end.</summary>
    public int Longest { get; init; } = int.MaxValue;

    /// <summary>Lines that are older when their chunk is made are not carried; null: none are too old.</summary>
    public TimeSpan? Expire { get; init; }

    /// <summary>How long a chunk may gather; null: it leaves as soon as it can.</summary>
    public BatchSettings? Batch { get; init; }
}

/// <summary>A chunk leaves with so many lines, or when its oldest line is so old.</summary>
public sealed record BatchSettings(int Lines, TimeSpan Time);

/// <summary>The languages of patterns.</summary>
public enum PatternKind
{
    /// <summary>The text itself, anywhere in the line.</summary>
    Text,

    /// <summary>A regular expression of .NET, as far as it can be matched in linear time.</summary>
    Regex,

    /// <summary>A POSIX extended regular expression.</summary>
    Posix,
}

public sealed record PatternSettings(PatternKind Kind, string Text)
{
    /// <summary>What is wrong with it, and with a <paramref name="template"/> for what it matches; null if nothing is.</summary>
    public string? Problem(string? template = null)
    {
        try
        {
            var pattern = LinePattern.Make(this, new LineText());
            var highest = template is null ? 0 : new LineTemplate(template).HighestGroup;
            return highest > pattern.Groups ? $"${highest} stands for nothing: the pattern has {pattern.Groups} groups" : null;
        }
        catch (PatternException e)
        {
            return e.Message;
        }
    }
}

/// <param name="Line">What the line becomes: $0 to $9 and &amp; stand for what was matched; null: it stays as it is.</param>
public sealed record AllowSettings(PatternSettings Pattern, string? Line = null);

/// <param name="With">What each occurrence becomes: $0 to $9 and &amp; stand for what was matched.</param>
public sealed record RewriteSettings(PatternSettings Pattern, string With);
