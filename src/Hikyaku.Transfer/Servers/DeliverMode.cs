namespace Hikyaku.Transfer;

/// <summary>Which of several servers a line goes to.</summary>
public enum DeliverMode
{
    /// <summary>Any, by weight, rather one with less in flight.</summary>
    Random,

    /// <summary>The one that a hash of where the line was written names, among those that are healthy.</summary>
    Hash,

    /// <summary>Each of them, at its own pace.</summary>
    Broadcast,

    /// <summary>The first that is healthy.</summary>
    Failover,
}

/// <summary>What the hash is made of.</summary>
public enum HashKey
{
    /// <summary>Host and path: lines of one file stay together.</summary>
    Path,

    /// <summary>The host that wrote them.</summary>
    Host,

    /// <summary>The last component of the path, of whatever host and directory.</summary>
    File,
}
