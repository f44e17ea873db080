using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Plugins;

namespace Hikyaku.Transfer.Outputs;

/// <summary>Lines on their way into the standard input of one or several processes.</summary>
internal sealed class PipeChunk(PipeOutput output) : Chunk
{
    private const int PackedBytes = 128 << 10;
    private const int OverfullBytes = 8 << 20;

    private readonly List<PipePart> _parts = [];
    private readonly Stack<PipePart> _spare = new();
    private readonly Dictionary<PipeTarget, PipePart> _byTarget = [];
    private readonly ByteBuffer _line = new();
    private LineSource? _lastSource;
    private PipePart? _last;
    private long _packed;
    private int _unfinished;

    public override bool IsFull => _packed >= PackedBytes;

    public override bool IsOverfull => _packed >= OverfullBytes;

    public void Clear()
    {
        Reset();
        foreach (var part in _parts)
        {
            part.Target.Users--;
            _spare.Push(part);
        }

        _parts.Clear();
        _byTarget.Clear();
        _lastSource = null;
        _last = null;
        _packed = 0;
    }

    // Whoever reads it has no memory that a repetition could be compared with.
    public override bool TryWriteNote(ByteBuffer target) => true;

    public void Deliver()
    {
        _unfinished = _parts.Count;
        foreach (var part in _parts)
            part.Target.Give(part);
    }

    public void FinishOne()
    {
        if (Interlocked.Decrement(ref _unfinished) > 0)
            return;
        Done = true;
        output.Changed();
    }

    protected override void Pack(in LineBlock lines)
    {
        var part = ReferenceEquals(lines.Source, _lastSource) ? _last! : PartOf(lines.Source);
        var before = part.Bytes.Length;
        if (output.Framing == Framing.Line)
            output.Format.Write(part.Bytes, lines);
        else
            PackFrames(part.Bytes, lines);
        part.Lines += lines.Count;
        _packed += part.Bytes.Length - before;
    }

    private void PackFrames(ByteBuffer target, in LineBlock lines)
    {
        var text = lines.Text;
        for (var i = 0; i < lines.Count; i++)
        {
            _line.Clear(PackedBytes);
            output.Format.Write(_line, new LineBlock(lines.Source, lines.Time, lines.Count == 1 ? text : LineBlock.TakeLine(ref text)));
            Frame.WriteHead(target, _line.Length);
            target.Append(_line.Written);
        }
    }

    private PipePart PartOf(LineSource source)
    {
        var target = output.TargetOf(source);
        if (!_byTarget.TryGetValue(target, out var part))
        {
            part = _spare.TryPop(out var spare) ? spare : new PipePart(this);
            part.Begin(target);
            target.Users++;
            _byTarget.Add(target, part);
            _parts.Add(part);
        }

        _lastSource = source;
        return _last = part;
    }
}
