namespace Hikyaku.Transfer.Rules.Posix;

/// <summary>
/// Divides what an expression has matched among its groups, as POSIX says: from left to right each part takes as much as it can, as long as
/// the rest can still be matched. Of a repetition the last turn counts. Linear in the length of the match, times the size of the expression.
/// </summary>
internal sealed class GroupFinder(Automaton automaton)
{
    private bool[] _accepts = [];
    private int[] _ends = [];
    private int[] _now = new int[automaton.States];
    private int[] _behind = new int[automaton.States];

    /// <summary>Writes the places of all groups within the part, which matches these bytes of the line.</summary>
    public void Find(ReadOnlySpan<byte> line, PosixNode node, int from, int to, Span<int> places)
    {
        while (node.HasGroups)
        {
            switch (node.Kind)
            {
                case PosixKind.Group:
                    Note(node, from, to, places);
                    node = node.Left!;
                    break;
                case PosixKind.Both:
                    var middle = Middle(line, node, from, to);
                    Find(line, node.Left!, from, middle, places);
                    (node, from) = (node.Right!, middle);
                    break;
                case PosixKind.Either:
                    node = IsMatch(line, node.Left!, from, to) ? node.Left! : node.Right!;
                    break;
                default:
                    if (from == to && !(node.TakesEmpty && IsMatch(line, node.Left!, from, to)))
                        return;
                    from = node.IsOnce || from == to ? from : LastTurn(line, node, from, to);
                    node = node.Left!;
                    break;
            }
        }
    }

    /// <summary>For each place of the line where the part matches, how far it does at most; -1 where it does not.</summary>
    public ReadOnlySpan<int> LongestEnds(ReadOnlySpan<byte> line, PosixNode node)
    {
        Accept(0, line.Length, all: true);
        FindEnds(line, node, 0, line.Length);
        return _ends.AsSpan(0, line.Length + 1);
    }

    // What an earlier turn left in the groups within it does not count any more.
    private static void Note(PosixNode group, int from, int to, Span<int> places)
    {
        for (var number = group.Group; number < group.GroupsEnd && (2 * number) < places.Length; number++)
            (places[2 * number], places[(2 * number) + 1]) = number == group.Group ? (from, to) : (-1, -1);
    }

    private int Middle(ReadOnlySpan<byte> line, PosixNode node, int from, int to)
    {
        if (node.Left!.Width >= 0)
            return from + node.Left.Width;
        if (node.Right!.Width >= 0)
            return to - node.Right.Width;
        AcceptMatchesOf(line, node.Right, from, to);
        FindEnds(line, node.Left, from, to);
        return _ends[0];
    }

    // Where the last turn begins.
    private int LastTurn(ReadOnlySpan<byte> line, PosixNode repeat, int from, int to)
    {
        AcceptMatchesOf(line, repeat, from, to);
        FindEnds(line, repeat.Left!, from, to);
        var at = from;
        while (_ends[at - from] is var next && next < to && next > at)
            at = next;
        return at;
    }

    private bool IsMatch(ReadOnlySpan<byte> line, PosixNode node, int from, int to)
    {
        if (node.Width >= 0 && node.Width != to - from)
            return false;
        Accept(from, to, all: false);
        FindEnds(line, node, from, to);
        return _ends[0] == to;
    }

    // From now on only what ends where this part could go on up to the end.
    private void AcceptMatchesOf(ReadOnlySpan<byte> line, PosixNode node, int from, int to)
    {
        Accept(from, to, all: false);
        FindEnds(line, node, from, to);
        for (var i = 0; i <= to - from; i++)
            _accepts[i] = _ends[i] >= 0;
    }

    private void Accept(int from, int to, bool all)
    {
        var count = to - from + 1;
        if (_accepts.Length < count)
            (_accepts, _ends) = (new bool[Math.Max(count, 256)], new int[Math.Max(count, 256)]);
        _accepts.AsSpan(0, count).Fill(all);
        _accepts[count - 1] = true;
    }

    // From the end to the start: how far at most one gets from each state, to a place that is accepted.
    private void FindEnds(ReadOnlySpan<byte> line, PosixNode node, int from, int to)
    {
        var after = to == line.Length ? Side.Edge : LazyAutomaton.SideOf(line[to]);
        for (var at = to; at >= from; at--)
        {
            var before = at == 0 ? Side.Edge : LazyAutomaton.SideOf(line[at - 1]);
            for (var state = node.From; state < node.To; state++)
                _now[state] = at < to ? Best(node, state, line[at]) : -1;
            if (_accepts[at - from])
                _now[node.Exit] = Math.Max(_now[node.Exit], at);
            while (Spread(node, before, after))
            {
            }

            _ends[at - from] = _now[node.Entry];
            (_now, _behind) = (_behind, _now);
            after = before;
        }
    }

    private int Best(PosixNode node, int state, byte value)
    {
        var best = -1;
        foreach (var (label, to) in automaton.WaysOf(state))
        {
            if (label >= 0 && to >= node.From && to < node.To && _behind[to] > best && automaton.Takes(label, value))
                best = _behind[to];
        }

        return best;
    }

    private bool Spread(PosixNode node, Side before, Side after)
    {
        var changed = false;
        for (var state = node.To - 1; state >= node.From; state--)
        {
            foreach (var (label, to) in automaton.WaysOf(state))
            {
                if (label >= 0 || to < node.From || to >= node.To || _now[to] <= _now[state] || !Automaton.MayPass(label, before, after))
                    continue;
                _now[state] = _now[to];
                changed = true;
            }
        }

        return changed;
    }
}
