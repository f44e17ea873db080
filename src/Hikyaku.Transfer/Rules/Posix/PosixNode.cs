namespace Hikyaku.Transfer.Rules.Posix;

internal enum PosixKind
{
    /// <summary>Nothing, which is everywhere.</summary>
    Empty,

    /// <summary>One byte out of a set.</summary>
    Byte,

    /// <summary>Nothing, where an assertion holds.</summary>
    Assertion,

    /// <summary>What stands in parentheses.</summary>
    Group,

    /// <summary>One behind the other.</summary>
    Both,

    /// <summary>One or the other.</summary>
    Either,

    /// <summary>Any number of times, or at most once.</summary>
    Repeat,
}

/// <summary>What holds between two bytes.</summary>
internal enum Assertion
{
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    NoWordEdge,
}

/// <summary>A part of an expression; what it has depends on its kind. Also where its states lie in the <see cref="Automaton"/>.</summary>
internal sealed record PosixNode(PosixKind Kind)
{
    public PosixNode? Left { get; init; }
    public PosixNode? Right { get; init; }

    /// <summary>Of a byte: which.</summary>
    public bool[] Set { get; init; } = [];

    public Assertion Assertion { get; init; }

    /// <summary>Of a group: its number, and the one behind the last group within it.</summary>
    public int Group { get; init; }
    public int GroupsEnd { get; init; }

    /// <summary>Of a repetition: at most once.</summary>
    public bool IsOnce { get; init; }

    /// <summary>Of a repetition: where there is nothing, its part has matched that, if it can. Not where it stands behind turns that must be.</summary>
    public bool TakesEmpty { get; init; }

    /// <summary>How many bytes it always has; -1 if that varies.</summary>
    public int Width { get; init; }

    public bool HasGroups { get; init; }

    /// <summary>Its states: from, to (exclusive), and of these the first and the last.</summary>
    public int From { get; set; }
    public int To { get; set; }
    public int Entry { get; set; }
    public int Exit { get; set; }
}
