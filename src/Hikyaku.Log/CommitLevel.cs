namespace Hikyaku.Log;

/// <summary>What an append must have survived before it is acknowledged. Applied by the owner of the writer.</summary>
public enum CommitLevel
{
    /// <summary>In the mapped segment: survives the death of any process, not of the machine.</summary>
    Process,

    /// <summary>As <see cref="Process"/>, and committed to the disk every few milliseconds.</summary>
    Interval,

    /// <summary>Acknowledged only after the commit to the disk.</summary>
    Strict,
}
