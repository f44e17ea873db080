namespace Hikyaku.Log;

/// <summary>What happens when the quota, or the disk, is exhausted.</summary>
public enum WhenFull
{
    /// <summary>An append fails until readers advance.</summary>
    Refuse,

    /// <summary>As <see cref="Refuse"/> for the log; the owner waits and tries again instead of failing.</summary>
    Block,

    /// <summary>The oldest sealed segment is deleted, and what it held is counted per source.</summary>
    DropOldest,
}
