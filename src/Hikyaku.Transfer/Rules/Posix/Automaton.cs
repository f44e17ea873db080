namespace Hikyaku.Transfer.Rules.Posix;

/// <summary>
/// The states of an expression and the ways between them, forwards or backwards. Those of each part of the expression lie together, so
/// that a part can be matched alone.
/// </summary>
internal sealed class Automaton
{
    /// <summary>What the time per byte and the memory may grow to.</summary>
    public const int StatesMax = 4000;

    /// <summary>The label of a way that takes no byte; below it stand the assertions, from it on the sets.</summary>
    public const int Free = -1;

    private readonly List<bool[]> _sets;
    private readonly int[] _first;
    private readonly (int Label, int To)[] _ways;

    public Automaton(PosixNode root)
    {
        _sets = [];
        var ways = new List<(int From, int Label, int To)>();
        Lay(root, ways);
        (_first, _ways) = Sort(ways);
        (Start, End) = (root.Entry, root.Exit);
    }

    private Automaton(Automaton other)
    {
        (_sets, States, Start, End) = (other._sets, other.States, other.End, other.Start);
        var ways = new List<(int From, int Label, int To)>();
        for (var state = 0; state < States; state++)
        {
            foreach (var (label, to) in other.WaysOf(state))
                ways.Add((to, label, state));
        }

        (_first, _ways) = Sort(ways);
    }

    public int States { get; private set; }
    public int Start { get; }
    public int End { get; }
    public IReadOnlyList<bool[]> Sets => _sets;

    /// <summary>The same, to be gone from the end to the start.</summary>
    public Automaton Reversed() => new(this);

    public ReadOnlySpan<(int Label, int To)> WaysOf(int state) => _ways.AsSpan(_first[state].._first[state + 1]);

    public bool Takes(int label, byte value) => _sets[label][value];

    public static int LabelOf(Assertion assertion) => Free - 1 - (int)assertion;

    /// <summary>Whether a label that is no set may be passed between two bytes of these kinds.</summary>
    public static bool MayPass(int label, Side before, Side after) => label == Free || (Assertion)(Free - 1 - label) switch
    {
        Assertion.LineStart => before == Side.Edge,
        Assertion.LineEnd => after == Side.Edge,
        Assertion.WordStart => before != Side.Word && after == Side.Word,
        Assertion.WordEnd => before == Side.Word && after != Side.Word,
        Assertion.WordEdge => (before == Side.Word) != (after == Side.Word),
        _ => (before == Side.Word) == (after == Side.Word),
    };

    private int Add() => States++;

    private void Lay(PosixNode node, List<(int From, int Label, int To)> ways)
    {
        node.From = States;
        switch (node.Kind)
        {
            case PosixKind.Empty:
                node.Entry = node.Exit = Add();
                break;
            case PosixKind.Byte:
                (node.Entry, node.Exit) = (Add(), Add());
                ways.Add((node.Entry, LabelOf(node.Set), node.Exit));
                break;
            case PosixKind.Assertion:
                (node.Entry, node.Exit) = (Add(), Add());
                ways.Add((node.Entry, LabelOf(node.Assertion), node.Exit));
                break;
            case PosixKind.Group:
                Lay(node.Left!, ways);
                (node.Entry, node.Exit) = (node.Left!.Entry, node.Left.Exit);
                break;
            case PosixKind.Both:
                Lay(node.Left!, ways);
                Lay(node.Right!, ways);
                (node.Entry, node.Exit) = (node.Left!.Entry, node.Right!.Exit);
                ways.Add((node.Left.Exit, Free, node.Right.Entry));
                break;
            default:
                LayChoice(node, ways);
                break;
        }

        node.To = States;
    }

    private void LayChoice(PosixNode node, List<(int From, int Label, int To)> ways)
    {
        (node.Entry, node.Exit) = (Add(), Add());
        Lay(node.Left!, ways);
        ways.Add((node.Entry, Free, node.Left!.Entry));
        if (node.Kind == PosixKind.Either)
        {
            Lay(node.Right!, ways);
            ways.Add((node.Entry, Free, node.Right!.Entry));
            ways.Add((node.Left.Exit, Free, node.Exit));
            ways.Add((node.Right.Exit, Free, node.Exit));
            return;
        }

        ways.Add((node.Left.Exit, Free, node.IsOnce ? node.Exit : node.Entry));
        ways.Add((node.Entry, Free, node.Exit));
    }

    private int LabelOf(bool[] set)
    {
        var known = _sets.FindIndex(s => s.AsSpan().SequenceEqual(set));
        if (known >= 0)
            return known;
        _sets.Add(set);
        return _sets.Count - 1;
    }

    private (int[] First, (int Label, int To)[] Ways) Sort(List<(int From, int Label, int To)> ways)
    {
        var first = new int[States + 1];
        foreach (var way in ways)
            first[way.From + 1]++;
        for (var state = 0; state < States; state++)
            first[state + 1] += first[state];
        var next = first.ToArray();
        var sorted = new (int Label, int To)[ways.Count];
        foreach (var (from, label, to) in ways)
            sorted[next[from]++] = (label, to);
        return (first, sorted);
    }
}

/// <summary>What stands on one side of a place: the line's edge or an LF, a byte of a word, or another one.</summary>
internal enum Side : byte
{
    Edge,
    Word,
    Other,
}
