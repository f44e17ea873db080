namespace Hikyaku.Mount;

/// <summary>What can be read back from the files of a mount.</summary>
public enum Keep
{
    /// <summary>Everything written, as on any file system; it stays in the directory underneath.</summary>
    All,

    /// <summary>Nothing: files have a size while they are known, read(2) gives ENODATA.</summary>
    None,
}
