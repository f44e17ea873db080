using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Hikyaku.Config;

/// <summary>YAML text to <see cref="WrittenNode"/>s, through the event parser: no reflection, and every node keeps its place.</summary>
internal sealed class YamlReader
{
    private const int DepthMax = 32;

    private readonly Parser _parser;
    private readonly Problems _problems;
    private readonly Dictionary<string, WrittenNode> _anchors = [];

    private YamlReader(string text, Problems problems) => (_parser, _problems) = (new Parser(new StringReader(text)), problems);

    /// <summary>The one document of the text; null when there is none or when <paramref name="problems"/> says why it cannot be read.</summary>
    public static WrittenNode? Read(string text, Problems problems)
    {
        var reader = new YamlReader(text, problems);
        try
        {
            return reader.ReadDocument();
        }
        catch (YamlException e)
        {
            // The parser names the mapping around a tab, not the tab.
            if (Array.FindIndex(text.Split('\n'), line => line.TrimStart(' ').StartsWith('\t')) is >= 0 and var tab)
                problems.Add(tab + 1, 1, "a tab at the start of a line; YAML is indented with spaces");
            else
                Add(problems, text, e.End, SyntaxHint(e.Message));
        }
        catch (InvalidOperationException)
        {
            // The parser gives up without a place for some texts; the place it had reached is the best there is.
            var at = reader._parser.Current?.End ?? Mark.Empty;
            Add(problems, text, at, SyntaxHint("this is not YAML from here on"));
        }
        return null;
    }

    // Where a text breaks off, the parser has gone on to a line behind the last.
    private static void Add(Problems problems, string text, Mark at, string what) =>
        problems.Add((int)Math.Min(at.Line, CountLines(text)), (int)at.Column, what);

    private static int CountLines(string text)
    {
        var lines = 1;
        for (var i = 0; i < text.Length; i++)
            if (text[i] is '\n' or '\u0085' or '\u2028' or '\u2029' || (text[i] is '\r' && (i + 1 == text.Length || text[i + 1] is not '\n')))
                lines++;
        return lines;
    }

    private static string SyntaxHint(string message) =>
        $"{message.TrimEnd('.')}; inside {{ }} and [ ] a value that contains any of [ ] {{ }} , : # must stand in quotes";

    private WrittenNode? ReadDocument()
    {
        _parser.MoveNext();
        if (!_parser.MoveNext() || _parser.Current is StreamEnd)
            return null;
        _parser.MoveNext();
        var root = ReadNode(0);
        _parser.MoveNext();
        if (_parser.MoveNext() && _parser.Current is DocumentStart second)
            _problems.Add((int)second.Start.Line, (int)second.Start.Column,
                "a second document starts here ('---'); one file configures one host: put each document in a file of its own");
        return root;
    }

    // The current event is the first of the node; afterwards it is the last of it.
    private WrittenNode ReadNode(int depth)
    {
        var start = _parser.Current ?? throw new InvalidOperationException();
        int line = (int)start.Start.Line, column = (int)start.Start.Column;
        if (depth > DepthMax)
            throw new YamlException(start.Start, start.Start, $"nested deeper than {DepthMax} levels");
        if (start is AnchorAlias alias)
        {
            if (_anchors.TryGetValue(alias.Value.Value, out var known))
                return known;
            // It is not repeated: it may be a secret that lacks its quotes.
            throw new YamlException(start.Start, start.Start, "a value that begins with '*' refers to one marked '&' above, and there is none of this name; if it is a text, it must stand in quotes");
        }
        WrittenNode node = start switch
        {
            Scalar scalar => new WrittenText(line, column, scalar.Value, scalar.Style is not ScalarStyle.Plain),
            SequenceStart => new WrittenList(line, column, ReadItems(depth)),
            MappingStart => new WrittenMapping(line, column, ReadEntries(depth)),
            _ => throw new InvalidOperationException(),
        };
        if (start is NodeEvent { Anchor.IsEmpty: false } anchored)
            _anchors[anchored.Anchor.Value] = node;
        return node;
    }

    private List<WrittenNode> ReadItems(int depth)
    {
        var items = new List<WrittenNode>();
        while (_parser.MoveNext() && _parser.Current is not SequenceEnd)
            items.Add(ReadNode(depth + 1));
        return items;
    }

    private List<(WrittenText, WrittenNode)> ReadEntries(int depth)
    {
        var entries = new List<(WrittenText Key, WrittenNode Value)>();
        while (_parser.MoveNext() && _parser.Current is not MappingEnd)
        {
            var key = ReadNode(depth + 1);
            _parser.MoveNext();
            var value = ReadNode(depth + 1);
            if (key is not WrittenText text)
                _problems.Add(key, "a key must be a single word");
            else if (entries.FirstOrDefault(e => e.Key.Text == text.Text).Key is { } first)
                _problems.Add(text, $"'{text.Text}' is given twice (first in line {first.Line}); keep one");
            else
                entries.Add((text, value));
        }
        return entries;
    }
}
