using System.Text;

namespace Hikyaku.Transfer.Rules.Posix;

/// <summary>
/// POSIX extended regular expressions as glibc reads them with REG_EXTENDED and REG_NEWLINE in the C locale: of bytes. Back-references are
/// refused: no matching in linear time is known for them.
/// </summary>
internal sealed class PosixParser
{
    // Every part costs one or two states of the automaton.
    private const int PartsMax = Automaton.StatesMax / 2;
    private const int DepthMax = 200;
    private const int RepeatMax = 1000;

    private static readonly (string Name, Func<char, bool> Has)[] Classes =
    [
        ("alpha", char.IsAsciiLetter),
        ("digit", char.IsAsciiDigit),
        ("alnum", char.IsAsciiLetterOrDigit),
        ("upper", char.IsAsciiLetterUpper),
        ("lower", char.IsAsciiLetterLower),
        ("space", IsSpace),
        ("blank", static c => c is ' ' or '\t'),
        ("punct", static c => c is > ' ' and < '\x7f' && !char.IsAsciiLetterOrDigit(c)),
        ("print", static c => c is >= ' ' and < '\x7f'),
        ("graph", static c => c is > ' ' and < '\x7f'),
        ("cntrl", static c => c is < ' ' or '\x7f'),
        ("xdigit", char.IsAsciiHexDigit),
    ];

    private readonly byte[] _text;
    private int _at;
    private int _groups;
    private int _parts;

    private PosixParser(string pattern) => _text = Encoding.UTF8.GetBytes(pattern);

    /// <summary>The whole expression, as group 0, and how many groups it has beside that.</summary>
    /// <exception cref="PatternException">It is none, or too large.</exception>
    public static (PosixNode Root, int Groups) Parse(string pattern)
    {
        var parser = new PosixParser(pattern);
        var root = parser.ParseEither(0);
        return (Group(root, 0, parser._groups + 1), parser._groups);
    }

    /// <summary>Whether a byte belongs to a word.</summary>
    public static bool IsWord(int value) => char.IsAsciiLetterOrDigit((char)value) || value == '_';

    private static bool IsSpace(char c) => c is ' ' or (>= '\t' and <= '\r');

    private PatternException Wrong(string what) => new($"is no extended regular expression at byte {_at}: {what}");

    private PosixNode ParseEither(int depth)
    {
        if (depth > DepthMax)
            throw Wrong($"nested deeper than {DepthMax} levels");
        var branches = new List<PosixNode> { ParseBranch(depth) };
        while (_at < _text.Length && _text[_at] == '|')
        {
            _at++;
            branches.Add(ParseBranch(depth));
        }

        var all = branches[^1];
        for (var i = branches.Count - 2; i >= 0; i--)
            all = Either(branches[i], all);
        return all;
    }

    // A ")" outside of all groups means itself.
    private PosixNode ParseBranch(int depth)
    {
        var parts = new List<PosixNode>();
        while (_at < _text.Length && _text[_at] != '|' && !(_text[_at] == ')' && depth > 0))
            parts.Add(ParsePart(depth));
        if (parts.Count == 0)
            return Count(new PosixNode(PosixKind.Empty));
        var all = parts[^1];
        for (var i = parts.Count - 2; i >= 0; i--)
            all = Both(parts[i], all);
        return all;
    }

    private PosixNode ParsePart(int depth)
    {
        var part = ParseOne(depth);
        while (part.Kind != PosixKind.Assertion && _at < _text.Length && _text[_at] is (byte)'*' or (byte)'+' or (byte)'?' or (byte)'{')
        {
            var (least, most) = ParseRepeat();
            part = Repeat(part, least, most);
        }

        return part;
    }

    private PosixNode ParseOne(int depth)
    {
        var value = _text[_at++];
        switch (value)
        {
            case (byte)'(':
                var number = ++_groups;
                var inner = ParseEither(depth + 1);
                if (_at == _text.Length)
                    throw Wrong("a ( without its )");
                _at++;
                return Group(inner, number, _groups + 1);
            case (byte)'*' or (byte)'+' or (byte)'?' or (byte)'{':
                _at--;
                throw Wrong($"nothing stands before {(char)value} that could be repeated");
            case (byte)'[':
                return Byte(ParseSet());
            case (byte)'.':
                return Byte(SetOf(static c => c != '\n'));
            case (byte)'^':
                return Assert(Assertion.LineStart);
            case (byte)'$':
                return Assert(Assertion.LineEnd);
            case (byte)'\\':
                return ParseEscape();
            default:
                return Byte(SetOf(c => c == value));
        }
    }

    private PosixNode ParseEscape()
    {
        if (_at == _text.Length)
            throw Wrong("nothing behind the backslash");
        var value = _text[_at++];
        switch ((char)value)
        {
            case >= '1' and <= '9':
                throw new PatternException($"refers back to group {(char)value}, which cannot be matched in linear time");
            case 'w':
                return Byte(SetOf(static c => IsWord(c)));
            case 'W':
                return Byte(SetOf(static c => !IsWord(c) && c != '\n'));
            case 's':
                return Byte(SetOf(IsSpace));
            case 'S':
                return Byte(SetOf(static c => !IsSpace(c)));
            case '<':
                return Assert(Assertion.WordStart);
            case '>':
                return Assert(Assertion.WordEnd);
            case 'b':
                return Assert(Assertion.WordEdge);
            case 'B':
                return Assert(Assertion.NoWordEdge);
            case '`' or '\'':
                throw Wrong($"\\{(char)value} is not supported; ^ and $ stand for the ends of the line");
            default:
                return Byte(SetOf(c => c == value));
        }
    }

    private (int Least, int Most) ParseRepeat()
    {
        switch ((char)_text[_at++])
        {
            case '*': return (0, -1);
            case '+': return (1, -1);
            case '?': return (0, 1);
        }

        var least = ParseNumber();
        var most = least;
        if (_at < _text.Length && _text[_at] == ',')
        {
            _at++;
            least = Math.Max(least, 0);
            most = ParseNumber();
        }

        if (_at == _text.Length || _text[_at] != '}' || least < 0 || (most >= 0 && most < least))
            throw Wrong("expected {n}, {n,} or {n,m} with n no more than m");
        if (Math.Max(least, most) > RepeatMax)
            throw Wrong($"at most {RepeatMax} repetitions can be asked for");
        _at++;
        return (least, most);
    }

    // -1: there is none.
    private int ParseNumber()
    {
        var number = -1;
        for (; _at < _text.Length && char.IsAsciiDigit((char)_text[_at]); _at++)
            number = Math.Min((Math.Max(number, 0) * 10) + _text[_at] - '0', RepeatMax + 1);
        return number;
    }

    private bool[] ParseSet()
    {
        var set = new bool[256];
        var isNegated = _at < _text.Length && _text[_at] == '^';
        if (isNegated)
            _at++;
        for (var first = true; ; first = false)
        {
            if (_at == _text.Length)
                throw Wrong("a [ without its ]");
            if (_text[_at] == ']' && !first)
                break;
            if (TryParseClass(set))
                continue;
            var from = ParseMember();
            var to = from;
            if (_at + 1 < _text.Length && _text[_at] == '-' && _text[_at + 1] != ']')
            {
                _at++;
                to = ParseMember();
                if (to < from)
                    throw Wrong("a range that ends before it begins");
            }

            set.AsSpan(from, to + 1 - from).Fill(true);
        }

        _at++;
        if (!isNegated)
            return set;
        for (var i = 0; i < set.Length; i++)
            set[i] = !set[i] && i != '\n';
        return set;
    }

    // [:alpha:]
    private bool TryParseClass(bool[] set)
    {
        if (!_text.AsSpan(_at).StartsWith("[:"u8))
            return false;
        var end = _text.AsSpan(_at + 2).IndexOf(":]"u8);
        var name = end < 0 ? "" : Encoding.UTF8.GetString(_text, _at + 2, end);
        var found = Array.FindIndex(Classes, c => c.Name == name);
        if (found < 0)
            throw Wrong($"[:{name}:] is no class; known are {string.Join(", ", Classes.Select(static c => c.Name))}");
        _at += end + 4;
        for (var i = 0; i < 128; i++)
            set[i] |= Classes[found].Has((char)i);
        return true;
    }

    // A byte, also as [=a=] or [.a.].
    private byte ParseMember()
    {
        if (_text[_at] != '[' || _at + 1 == _text.Length || _text[_at + 1] is not ((byte)'=' or (byte)'.' or (byte)':'))
            return _text[_at++];
        if (_at + 4 >= _text.Length || _text[_at + 1] == ':' || _text[_at + 3] != _text[_at + 1] || _text[_at + 4] != ']')
            throw Wrong("[= =] and [. .] take one byte");
        _at += 5;
        return _text[_at - 3];
    }

    private static bool[] SetOf(Func<char, bool> has)
    {
        var set = new bool[256];
        for (var i = 0; i < set.Length; i++)
            set[i] = has((char)i);
        return set;
    }

    private PosixNode Count(PosixNode node)
    {
        if (++_parts > PartsMax)
            throw new PatternException($"is too large: with all its repetitions it has more than {PartsMax} parts");
        return node;
    }

    private PosixNode Byte(bool[] set) => Count(new PosixNode(PosixKind.Byte) { Set = set, Width = 1 });

    private PosixNode Assert(Assertion assertion) => Count(new PosixNode(PosixKind.Assertion) { Assertion = assertion });

    private static PosixNode Group(PosixNode inner, int number, int end) =>
        new(PosixKind.Group) { Left = inner, Group = number, GroupsEnd = end, Width = inner.Width, HasGroups = true };

    private static PosixNode Both(PosixNode left, PosixNode right) => new(PosixKind.Both)
    {
        Left = left, Right = right, HasGroups = left.HasGroups || right.HasGroups, Width = left.Width < 0 || right.Width < 0 ? -1 : left.Width + right.Width,
    };

    private PosixNode Either(PosixNode left, PosixNode right) => Count(new PosixNode(PosixKind.Either)
    {
        Left = left, Right = right, HasGroups = left.HasGroups || right.HasGroups, Width = left.Width == right.Width ? left.Width : -1,
    });

    private PosixNode Optional(PosixNode part, bool isOnce, bool takesEmpty) => Count(new PosixNode(PosixKind.Repeat)
    {
        Left = part, IsOnce = isOnce, TakesEmpty = takesEmpty, HasGroups = part.HasGroups, Width = part.Width == 0 ? 0 : -1,
    });

    // x{2,4} is xx(x(x)?)?, and x{2,} is xxx*, where each x is a part of its own with the same groups.
    private PosixNode Repeat(PosixNode part, int least, int most)
    {
        PosixNode? all = null;
        if (most < 0)
            all = Optional(part, isOnce: false, takesEmpty: least == 0);
        for (var i = least; i < most; i++)
            all = Optional(all is null ? Copy(part) : Both(Copy(part), all), isOnce: true, takesEmpty: least == 0 && i == most - 1);
        for (var i = 0; i < least; i++)
            all = all is null ? Copy(part) : Both(Copy(part), all);
        return all ?? Count(new PosixNode(PosixKind.Empty));
    }

    private PosixNode Copy(PosixNode node)
    {
        if (node.Kind is not (PosixKind.Both or PosixKind.Group))
            Count(node);
        return node with { Left = node.Left is null ? null : Copy(node.Left), Right = node.Right is null ? null : Copy(node.Right) };
    }
}
