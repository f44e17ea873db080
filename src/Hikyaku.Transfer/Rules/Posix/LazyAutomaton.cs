namespace Hikyaku.Transfer.Rules.Posix;

/// <summary>
/// An automaton that is in one state at a time, each of which is a set of the states of an <see cref="Automaton"/>. They are made when
/// they are first met, and forgotten when there are too many: then the time per byte grows, and the memory does not.
/// </summary>
internal sealed class LazyAutomaton
{
    private const int StepsMax = 1 << 18, SeedsMax = 1 << 18;

    private readonly Automaton _automaton;
    private readonly bool _isBackward;
    private readonly bool _everywhere;
    private readonly byte[] _classes = new byte[256];
    private readonly byte[] _members; // of each class one
    private readonly int _width; // of each state: a step for each class, and one beyond the edge of the line
    private readonly int _statesMax;
    private readonly List<(int[] Seeds, Side Behind)> _states = [];
    private readonly Dictionary<string, int> _known = new(StringComparer.Ordinal);
    private readonly bool[] _seen;
    private readonly List<int> _reached = [];
    private int[] _steps = [];
    private int _seeds;

    /// <param name="automaton">The ways in the direction of reading.</param>
    /// <param name="isBackward">The line is read from its end.</param>
    /// <param name="everywhere">A match may begin at any place, else only at the first.</param>
    public LazyAutomaton(Automaton automaton, bool isBackward, bool everywhere)
    {
        (_automaton, _isBackward, _everywhere) = (automaton, isBackward, everywhere);
        _members = Classify(automaton.Sets, _classes);
        _width = _members.Length + 1;
        _statesMax = Math.Max(4, StepsMax / _width);
        _seen = new bool[automaton.States];
        Forget();
    }

    /// <summary>The step behind the last byte: it only tells whether a match ends there.</summary>
    public int Edge => _members.Length;

    /// <summary>No match can come out of this state any more.</summary>
    public const int Dead = 0;

    public static bool Ends(int step) => (step & 1) != 0;

    public static int StateBehind(int step) => step >> 1;

    public static Side SideOf(byte value) => value == '\n' ? Side.Edge : PosixParser.IsWord(value) ? Side.Word : Side.Other;

    /// <summary>Where to begin, with this in the back.</summary>
    public int Begin(Side behind) => 1 + (int)behind;

    /// <summary>The class of a byte.</summary>
    public int ClassOf(byte value) => _classes[value];

    /// <summary>Takes a byte of this class: whether a match ends before it, and the state behind it.</summary>
    public int Step(int state, int bytes)
    {
        var step = _steps[(state * _width) + bytes];
        return step >= 0 ? step : Make(state, bytes);
    }

    private int Make(int state, int bytes)
    {
        var (seeds, behind) = _states[state];
        var isEdge = bytes == Edge;
        var ahead = isEdge ? Side.Edge : SideOf(_members[bytes]);
        Reach(seeds, _isBackward ? ahead : behind, _isBackward ? behind : ahead);
        var ends = _seen[_automaton.End] ? 1 : 0;
        var next = isEdge ? [] : Move(_members[bytes]);
        foreach (var reached in _reached)
            _seen[reached] = false;
        _reached.Clear();
        var made = isEdge ? Dead : Find(next, ahead, out var isForgotten) is var found && isForgotten ? -found : found;
        if (made < 0)
            return (-made << 1) | ends;
        return _steps[(state * _width) + bytes] = (made << 1) | ends;
    }

    private void Reach(int[] seeds, Side before, Side after)
    {
        foreach (var seed in seeds)
            See(seed);
        for (var i = 0; i < _reached.Count; i++)
        {
            foreach (var (label, to) in _automaton.WaysOf(_reached[i]))
            {
                if (label < 0 && Automaton.MayPass(label, before, after))
                    See(to);
            }
        }
    }

    private void See(int state)
    {
        if (_seen[state])
            return;
        _seen[state] = true;
        _reached.Add(state);
    }

    private int[] Move(byte value)
    {
        var next = new SortedSet<int>();
        foreach (var state in _reached)
        {
            foreach (var (label, to) in _automaton.WaysOf(state))
            {
                if (label >= 0 && _automaton.Takes(label, value))
                    next.Add(to);
            }
        }

        if (_everywhere)
            next.Add(_automaton.Start);
        return [.. next];
    }

    private int Find(int[] seeds, Side behind, out bool isForgotten)
    {
        isForgotten = false;
        if (seeds.Length == 0)
            return Dead;
        var key = string.Create(seeds.Length + 1, (seeds, behind), static (key, of) =>
        {
            for (var i = 0; i < of.seeds.Length; i++)
                key[i] = (char)of.seeds[i];
            key[^1] = (char)of.behind;
        });
        if (_known.TryGetValue(key, out var known))
            return known;
        isForgotten = _states.Count >= _statesMax || _seeds + seeds.Length > SeedsMax;
        if (isForgotten)
            Forget();
        return _known[key] = Add(seeds, behind);
    }

    private int Add(int[] seeds, Side behind)
    {
        _states.Add((seeds, behind));
        _seeds += seeds.Length;
        if (_steps.Length < _states.Count * _width)
        {
            var length = _steps.Length;
            Array.Resize(ref _steps, Math.Max(16 * _width, 2 * length));
            _steps.AsSpan(length).Fill(-1);
        }

        return _states.Count - 1;
    }

    private void Forget()
    {
        _states.Clear();
        _known.Clear();
        _seeds = 0;
        _steps.AsSpan().Fill(-1);
        Add([], Side.Edge);
        for (var side = Side.Edge; side <= Side.Other; side++)
            Add([_automaton.Start], side);
        // Nothing comes of nothing.
        _steps.AsSpan(0, _width).Fill(Dead << 1);
    }

    // Bytes that no set and no assertion tells apart are one class. Returns a member of each.
    private static byte[] Classify(IReadOnlyList<bool[]> sets, byte[] classes)
    {
        var members = new List<byte>();
        for (var value = 0; value < classes.Length; value++)
        {
            var known = members.FindIndex(m => SideOf(m) == SideOf((byte)value) && sets.All(set => set[m] == set[value]));
            if (known < 0)
            {
                known = members.Count;
                members.Add((byte)value);
            }

            classes[value] = (byte)known;
        }

        return [.. members];
    }
}
