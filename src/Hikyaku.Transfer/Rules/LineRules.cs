using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Rules;

/// <summary>
/// What a route does line by line. Lines that pass unchanged stay together and are not copied; changed ones are gathered. What becomes of a
/// line is a function of the line alone.
/// </summary>
internal sealed class LineRules
{
    private const int KeptBytes = 1 << 20;

    private readonly record struct Allowed(LinePattern Pattern, LineTemplate? Line);

    private readonly record struct Replaced(LinePattern Pattern, LineTemplate With);

    private enum Verdict
    {
        Unchanged,
        Changed,
        Denied,
        TooLong,
    }

    private readonly LineText _text = new();
    private readonly Allowed[] _allow;
    private readonly LinePattern[] _deny;
    private readonly Replaced[] _rewrite;
    private readonly int _longest;
    private readonly bool _isPerLine;
    private readonly int[] _places = new int[2 * LinePattern.PlacesMax];
    private readonly ByteBuffer _gathered = new();
    private ByteBuffer _made = new();
    private ByteBuffer _other = new();

    private LineRules(RuleSettings settings)
    {
        _allow = [.. settings.Allow.Select(a => new Allowed(LinePattern.Make(a.Pattern, _text), a.Line is null ? null : new LineTemplate(a.Line)))];
        _deny = [.. settings.Deny.Select(d => LinePattern.Make(d, _text))];
        _rewrite = [.. settings.Rewrite.Select(r => new Replaced(LinePattern.Make(r.Pattern, _text), new LineTemplate(r.With)))];
        _longest = Math.Min(settings.Longest, LineAssembler.LineBytesMax);
        _isPerLine = _allow.Length + _deny.Length + _rewrite.Length > 0;
    }

    /// <summary>Null when there is nothing to be done.</summary>
    public static LineRules? Of(RuleSettings settings) =>
        settings.Allow.Count + settings.Deny.Count + settings.Rewrite.Count > 0 || settings.Longest < LineAssembler.LineBytesMax ? new LineRules(settings) : null;

    /// <summary>Lines that did not pass the patterns, since this was last set to zero.</summary>
    public int Denied { get; set; }

    /// <summary>Lines that were too long, since this was last set to zero.</summary>
    public int TooLong { get; set; }

    /// <summary>Adds to the chunk what passes, as it passes.</summary>
    public void Pass(Chunk chunk, in LineBlock lines)
    {
        if (lines.Count == 1)
            PassOne(chunk, lines);
        else if (!_isPerLine && lines.Text.Length <= _longest)
            chunk.Add(lines);
        else
            PassEach(chunk, lines);
    }

    // A single line may have LF in it.
    private void PassOne(Chunk chunk, in LineBlock line)
    {
        switch (Judge(line.Text, out var changed))
        {
            case Verdict.Unchanged:
                chunk.Add(line);
                break;
            case Verdict.Changed:
                chunk.Add(new LineBlock(line.Source, line.Time, changed));
                break;
        }
    }

    private void PassEach(Chunk chunk, in LineBlock lines)
    {
        var text = lines.Text;
        var (at, runStart, run, gathered) = (0, 0, 0, 0);
        for (var i = 0; i < lines.Count; i++)
        {
            var rest = text[at..];
            var line = LineBlock.TakeLine(ref rest);
            var verdict = Judge(line, out var changed);
            if (verdict == Verdict.Unchanged)
            {
                Flush(chunk, lines, ref gathered);
                runStart = run == 0 ? at : runStart;
                run++;
            }
            else
            {
                if (run > 0)
                    chunk.Add(new LineBlock(lines.Source, lines.Time, text[runStart..(at - 1)], run));
                run = 0;
            }

            if (verdict == Verdict.Changed)
            {
                if (_gathered.Length + changed.Length >= LineBlock.BytesMax)
                    Flush(chunk, lines, ref gathered);
                if (gathered++ > 0)
                    _gathered.Append((byte)'\n');
                _gathered.Append(changed);
            }

            at += line.Length + 1;
        }

        Flush(chunk, lines, ref gathered);
        if (run > 0)
            chunk.Add(new LineBlock(lines.Source, lines.Time, text[runStart..], run));
    }

    private void Flush(Chunk chunk, in LineBlock lines, ref int gathered)
    {
        if (gathered > 0)
            chunk.Add(new LineBlock(lines.Source, lines.Time, _gathered.Written, gathered));
        gathered = 0;
        _gathered.Clear(KeptBytes);
    }

    private Verdict Judge(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> changed)
    {
        changed = line;
        _text.Forget();
        if (!IsAllowed(line, out var becomes) || IsDenied(line))
        {
            Denied++;
            return Verdict.Denied;
        }

        var verdict = Verdict.Unchanged;
        if (becomes.Line is not null)
        {
            _made.Clear(KeptBytes);
            becomes.Pattern.Begin(line);
            becomes.Pattern.TryNext(line, Places(becomes.Line));
            becomes.Line.Write(_made, line, _places);
            changed = _made.Written;
            verdict = Verdict.Changed;
            _text.Forget();
        }

        foreach (var rewrite in _rewrite)
        {
            if (changed.Length <= LineAssembler.LineBytesMax && TryReplace(rewrite, ref changed))
                verdict = Verdict.Changed;
        }

        if (changed.Length <= _longest)
            return verdict;
        TooLong++;
        return Verdict.TooLong;
    }

    private bool IsAllowed(ReadOnlySpan<byte> line, out Allowed by)
    {
        foreach (var allowed in _allow)
        {
            by = allowed;
            if (allowed.Pattern.IsMatch(line))
                return true;
        }

        by = default;
        return _allow.Length == 0;
    }

    private bool IsDenied(ReadOnlySpan<byte> line)
    {
        foreach (var pattern in _deny)
        {
            if (pattern.IsMatch(line))
                return true;
        }

        return false;
    }

    // What is made grows no further than beyond the longest line there is, however many occurrences become how long.
    private bool TryReplace(in Replaced rewrite, ref ReadOnlySpan<byte> line)
    {
        var places = Places(rewrite.With);
        rewrite.Pattern.Begin(line);
        if (!rewrite.Pattern.TryNext(line, places))
            return false;
        _other.Clear(KeptBytes);
        var copied = 0;
        do
        {
            _other.Append(line[copied..places[0]]);
            rewrite.With.Write(_other, line, places);
            copied = places[1];
        }
        while (_other.Length <= LineAssembler.LineBytesMax && rewrite.Pattern.TryNext(line, places));

        _other.Append(line[copied..]);
        (_made, _other) = (_other, _made);
        line = _made.Written;
        _text.Forget();
        return true;
    }

    // Groups are only looked for where they are named.
    private Span<int> Places(LineTemplate template) => _places.AsSpan(0, 2 * (1 + template.HighestGroup));
}
