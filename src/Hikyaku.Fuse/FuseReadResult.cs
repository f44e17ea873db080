namespace Hikyaku.Fuse;

/// <summary>What reading from the device gave.</summary>
public enum FuseReadResult
{
    Request,

    /// <summary>The mount is gone; nothing more will come.</summary>
    Unmounted,

    /// <summary>The connection was aborted; programs got errors, and the mount point must be unmounted.</summary>
    Aborted,
}
