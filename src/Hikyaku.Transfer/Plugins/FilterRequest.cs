using Hikyaku.Forward;

namespace Hikyaku.Transfer.Plugins;

/// <summary>Lines for a filter and what it makes of them. Whoever asks leaves it alone until it is answered.</summary>
internal sealed class FilterRequest
{
    private bool _isAnswered;

    /// <summary>The lines as the filter reads them.</summary>
    public ByteBuffer Questions { get; } = new();

    public int Count { get; private set; }

    /// <summary>What became of them, one behind the other.</summary>
    public ByteBuffer Answers { get; } = new();

    /// <summary>The length of each answer; 0: the line is dropped.</summary>
    public List<int> Lengths { get; } = [];

    public bool IsAnswered
    {
        get => Volatile.Read(ref _isAnswered);
        set => Volatile.Write(ref _isAnswered, value);
    }

    public void Add(ReadOnlySpan<byte> line, Framing framing)
    {
        Count++;
        if (framing == Framing.Length)
            Frame.WriteHead(Questions, line.Length);
        Questions.Append(line);
        if (framing == Framing.Line)
            Questions.Append((byte)'\n');
    }

    /// <summary>Forgets what was answered so far.</summary>
    public void BeginAnew()
    {
        Answers.Clear();
        Lengths.Clear();
    }
}
