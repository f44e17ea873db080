using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Plugins;

namespace Hikyaku.Transfer.Outputs;

/// <summary>Lines that a filter is asked about before they become those of a chunk of the output behind it.</summary>
internal sealed class FilteredChunk(FilteredOutput output) : Chunk
{
    private const int QuestionBytes = 256 << 10;
    private const int QuestionsMax = 16_384;
    private const int OverfullBytes = 8 << 20;

    private readonly List<(LineSource Source, long Time, int Count)> _origins = [];
    private FilterRequest _request = new();
    private bool _isAsked;
    private bool _isPacked;

    /// <summary>The output's own, with what the filter made of the lines.</summary>
    public Chunk Inner { get; private set; } = null!;

    // While it is with the filter no line is added to it.
    public override bool IsFull => _isAsked || _request.Questions.Length >= QuestionBytes || _request.Count >= QuestionsMax;

    public override bool IsOverfull => _request.Questions.Length >= OverfullBytes;

    public override bool MustBeginAnew => Inner.MustBeginAnew;

    public override bool Done
    {
        get => base.Done || (_isPacked && Inner.Done);
        set => base.Done = value;
    }

    public void Begin(Chunk inner)
    {
        Inner = inner;
        _origins.Clear();
        // The filter may still be busy with that of before.
        _request = new FilterRequest();
        _isAsked = _isPacked = false;
        Reset();
    }

    public override bool TryWriteNote(ByteBuffer target) => TryPack() && Inner.TryWriteNote(target);

    /// <summary>Fills the chunk of the output with what the filter answers. False: it has not yet, and says when it has.</summary>
    public bool TryPack()
    {
        if (_isPacked)
            return true;
        if (!_isAsked && _request.Count > 0)
        {
            _isAsked = true;
            output.Ask(_request);
        }

        if (_request.Count > 0 && !_request.IsAnswered)
            return false;
        PackFrom(this);
        return true;
    }

    /// <summary>Fills it with what the filter answered to the same lines in another chunk.</summary>
    public void PackFrom(FilteredChunk other)
    {
        _isPacked = true;
        (Inner.Number, Inner.From, Inner.To) = (Number, From, To);
        var answers = other._request.Answers.Written;
        var next = 0;
        foreach (var (source, time, count) in other._origins)
        {
            for (var i = 0; i < count; i++)
            {
                var length = other._request.Lengths[next++];
                if (length > 0)
                    Inner.Add(new LineBlock(source, time, answers[..length]));
                answers = answers[length..];
            }
        }

        if (other == this)
            output.Dropped(_request.Count - Inner.Lines);
    }

    protected override void Pack(in LineBlock lines)
    {
        var before = _request.Count;
        var text = lines.Text;
        for (var i = 1; i < lines.Count; i++)
            _request.Add(LineBlock.TakeLine(ref text), output.Framing);
        // A single line of a foreign sender may have line ends in it: each of its parts is a question then.
        while (output.Framing == Framing.Line && text.Contains((byte)'\n'))
            _request.Add(LineBlock.TakeLine(ref text), output.Framing);
        _request.Add(text, output.Framing);
        _origins.Add((lines.Source, lines.Time, _request.Count - before));
    }
}
