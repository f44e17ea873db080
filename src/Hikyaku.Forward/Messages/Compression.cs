namespace Hikyaku.Forward;

/// <summary>How the entries of a chunk travel.</summary>
public enum Compression
{
    /// <summary>As they are.</summary>
    None,

    /// <summary>As every receiver of the Forward protocol takes them.</summary>
    Gzip,

    /// <summary>For Hikyaku nodes that have its library: a fraction of the time of gzip.</summary>
    Zstd,
}
