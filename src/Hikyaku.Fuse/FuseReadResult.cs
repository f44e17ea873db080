namespace Hikyaku.Fuse;

/// <summary>What reading from the device gave.</summary>
public enum FuseReadResult
{
    Request,

    /// <summary>There is no request now, and the device is set not to wait.</summary>
    Nothing,

    /// <summary>The mount is gone; nothing more will come.</summary>
    Unmounted,

    /// <summary>The other end of a socket that stands in for the device is closed.</summary>
    Closed,

    /// <summary>The connection was aborted; programs got errors, and the mount point must be unmounted.</summary>
    Aborted,
}
