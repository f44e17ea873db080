namespace Hikyaku.Mount;

/// <summary>What happened to one source since the mount's process started.</summary>
public sealed class SourceCounters(string path)
{
    internal long WritesCount;
    internal long BytesCount;
    internal long RefusedCount;
    internal long LostRecordsCount;
    internal long LostBytesCount;

    /// <summary>The path as opened, relative to the mount; bytes that are not UTF-8 are shown as U+FFFD.</summary>
    public string Path { get; } = path;

    /// <summary>Writes appended to the log.</summary>
    public long Writes => Volatile.Read(ref WritesCount);

    /// <summary>Bytes of these writes.</summary>
    public long Bytes => Volatile.Read(ref BytesCount);

    /// <summary>Writes answered with an error because the log or the disk was full.</summary>
    public long Refused => Volatile.Read(ref RefusedCount);

    /// <summary>Records dropped from a full log before everybody had read them.</summary>
    public long LostRecords => Volatile.Read(ref LostRecordsCount);

    /// <summary>Bytes of these records.</summary>
    public long LostBytes => Volatile.Read(ref LostBytesCount);
}
