namespace Hikyaku.Log;

/// <summary>What the writer knows of one segment file on disk.</summary>
internal sealed class SegmentFile(ulong first, string name, long bytes)
{
    public ulong First { get; } = first;
    public string Name { get; set; } = name;
    public long Bytes { get; } = bytes;

    // After a restart nobody knows what the last process committed; committing a clean file again costs little.
    public bool IsCommitted { get; set; }

    /// <summary>A sync of it failed, or may have: before the next one it has to be made dirty again.</summary>
    public bool MustRewrite { get; set; }
}
