namespace Hikyaku.Transfer.Delivery;

/// <summary>A source as people see it.</summary>
internal readonly record struct SourceName(string Host, string Path)
{
    public static int Hash(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path)
    {
        var hash = new HashCode();
        hash.AddBytes(host);
        hash.AddBytes(path);
        return hash.ToHashCode();
    }
}

/// <summary>Finds a source by content without making one; whoever finds compares the content too.</summary>
internal readonly record struct SourceKey(int Name, uint Pid, uint Uid, bool IsMessage);

/// <summary>What was read of one source. Written by the pump, read by whoever asks for the status.</summary>
internal sealed class SourceCount(SourceName name, bool matched)
{
    private long _lines;
    private long _bytes;
    private long _last;
    private long _denied;
    private long _tooLong;
    private long _expired;

    /// <summary>True if the route carries it.</summary>
    public bool Matched { get; } = matched;

    public void Add(long lines, long bytes, long time)
    {
        Volatile.Write(ref _lines, _lines + lines);
        Volatile.Write(ref _bytes, _bytes + bytes);
        Volatile.Write(ref _last, time);
    }

    /// <summary>Lines that did not pass the rules. True if these are the first that were too long.</summary>
    public bool AddStopped(long denied, long tooLong)
    {
        var isFirst = _tooLong == 0 && tooLong > 0;
        if (denied > 0)
            Volatile.Write(ref _denied, _denied + denied);
        if (tooLong > 0)
            Volatile.Write(ref _tooLong, _tooLong + tooLong);
        return isFirst;
    }

    /// <summary>Lines that were too old. True if these are the first.</summary>
    public bool AddExpired(long lines)
    {
        var isFirst = _expired == 0;
        Volatile.Write(ref _expired, _expired + lines);
        return isFirst;
    }

    public SourceStatus Status() => new(name.Host, name.Path, Matched, Volatile.Read(ref _lines), Volatile.Read(ref _bytes),
        DateTimeOffset.UnixEpoch.AddTicks(Volatile.Read(ref _last) / 100))
    {
        Denied = Volatile.Read(ref _denied),
        TooLong = Volatile.Read(ref _tooLong),
        Expired = Volatile.Read(ref _expired),
    };
}
