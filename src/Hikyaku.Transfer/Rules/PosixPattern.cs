using Hikyaku.Transfer.Rules.Posix;

namespace Hikyaku.Transfer.Rules;

/// <summary>
/// A POSIX extended regular expression over bytes: the leftmost match, and of those the longest. The line is read once from its end, which
/// tells every place where a match begins, and from there forwards, which tells where the longest ends.
/// </summary>
internal sealed class PosixPattern : LinePattern
{
    // Reading on from every start may take the square of the line's length; beyond so many times the line another way is cheaper.
    private const int ReadingsMax = 8;
    private const int KeptStarts = 64 << 10;

    private readonly PosixNode _root;
    private readonly byte[] _literal;
    private readonly LazyAutomaton _backward;
    private readonly LazyAutomaton _forward;
    private readonly GroupFinder _groups;
    private int[] _starts = [];
    private int[] _ends = [];
    private int _startCount;
    private int _from;
    private long _read;
    private bool _hasEnds;

    public PosixPattern(string pattern)
    {
        (_root, Groups) = PosixParser.Parse(pattern);
        var automaton = new Automaton(_root);
        _backward = new LazyAutomaton(automaton.Reversed(), isBackward: true, everywhere: true);
        _forward = new LazyAutomaton(automaton, isBackward: false, everywhere: false);
        _groups = new GroupFinder(automaton);
        _literal = Literal(_root);
    }

    public override int Groups { get; }

    public override bool IsMatch(ReadOnlySpan<byte> line) => line.IndexOf(_literal) >= 0 && Scan(line, all: false);

    public override void Begin(ReadOnlySpan<byte> line)
    {
        _from = 0;
        _read = 0;
        _hasEnds = false;
        _startCount = 0;
        if (_starts.Length > KeptStarts)
            (_starts, _ends) = ([], []);
        if (line.IndexOf(_literal) < 0)
            return;
        if (_starts.Length <= line.Length)
            _starts = new int[Math.Max(256, line.Length + 1)];
        Scan(line, all: true);
    }

    public override bool TryNext(ReadOnlySpan<byte> line, Span<int> places)
    {
        places.Fill(-1);
        while (_startCount > 0)
        {
            var start = _starts[--_startCount];
            if (start < _from)
                continue;
            var end = EndOf(line, start);
            _from = Math.Max(end, start + 1);
            (places[0], places[1]) = (start, end);
            if (Groups > 0 && places.Length > 2)
                _groups.Find(line, _root, start, end, places);
            return true;
        }

        return false;
    }

    // Notes where matches begin, the last first. Without all: true at the first that is found.
    private bool Scan(ReadOnlySpan<byte> line, bool all)
    {
        var state = _backward.Begin(Side.Edge);
        for (var at = line.Length; at >= 0; at--)
        {
            var step = _backward.Step(state, at == 0 ? _backward.Edge : _backward.ClassOf(line[at - 1]));
            state = LazyAutomaton.StateBehind(step);
            if (!LazyAutomaton.Ends(step))
                continue;
            if (!all)
                return true;
            _starts[_startCount++] = at;
        }

        return false;
    }

    private int EndOf(ReadOnlySpan<byte> line, int start)
    {
        if (_read > (long)ReadingsMax * line.Length + 4096)
            FindEnds(line);
        if (_hasEnds)
            return _ends[start];
        var end = start;
        var state = _forward.Begin(start == 0 ? Side.Edge : LazyAutomaton.SideOf(line[start - 1]));
        var at = start;
        for (; state != LazyAutomaton.Dead; at++)
        {
            var step = _forward.Step(state, at == line.Length ? _forward.Edge : _forward.ClassOf(line[at]));
            state = LazyAutomaton.StateBehind(step);
            if (LazyAutomaton.Ends(step))
                end = at;
        }

        _read += at - start;
        return end;
    }

    private void FindEnds(ReadOnlySpan<byte> line)
    {
        if (_hasEnds)
            return;
        if (_ends.Length <= line.Length)
            _ends = new int[line.Length + 1];
        _groups.LongestEnds(line, _root).CopyTo(_ends);
        _hasEnds = true;
    }

    // The longest text that every match has in it: most lines without a match are told by that, many bytes at a time.
    private static byte[] Literal(PosixNode root)
    {
        var (best, run) = (new List<byte>(), new List<byte>());
        var rest = new Stack<PosixNode>([root]);
        while (rest.TryPop(out var node))
        {
            if (node.Kind == PosixKind.Both)
                rest.Push(node.Right!);
            if (node.Kind is PosixKind.Both or PosixKind.Group)
            {
                rest.Push(node.Left!);
                continue;
            }

            if (node.Kind == PosixKind.Byte && node.Set.Count(static has => has) == 1)
                run.Add((byte)Array.IndexOf(node.Set, true));
            else if (node.Kind is not (PosixKind.Assertion or PosixKind.Empty))
                run = [];
            if (run.Count > best.Count)
                best = [.. run];
        }

        return [.. best];
    }
}
