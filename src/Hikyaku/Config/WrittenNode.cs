namespace Hikyaku.Config;

/// <summary>The configuration as written: texts, lists and mappings, each with its line and column (from 1).</summary>
internal abstract record WrittenNode(int Line, int Column)
{
    /// <summary>How messages show what stands here.</summary>
    public abstract string Shown { get; }
}

/// <summary>A single value; <paramref name="Quoted"/> tells '' (an empty text) from nothing at all.</summary>
internal sealed record WrittenText(int Line, int Column, string Text, bool Quoted) : WrittenNode(Line, Column)
{
    public bool IsNothing => !Quoted && Text is "" or "~" or "null";

    public override string Shown => IsNothing ? "empty" : $"'{Text}'";
}

internal sealed record WrittenList(int Line, int Column, IReadOnlyList<WrittenNode> Items) : WrittenNode(Line, Column)
{
    public override string Shown => "a list";
}

internal sealed record WrittenMapping(int Line, int Column, IReadOnlyList<(WrittenText Key, WrittenNode Value)> Entries) : WrittenNode(Line, Column)
{
    public override string Shown => "a mapping";
}
