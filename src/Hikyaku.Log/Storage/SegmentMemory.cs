namespace Hikyaku.Log;

/// <summary>The bytes of one file, mapped and shared with every process that maps it.</summary>
public abstract unsafe class SegmentMemory : IDisposable
{
    /// <summary>The first byte; null when <see cref="Length"/> is 0.</summary>
    public byte* Pointer { get; protected init; }

    /// <summary>Length in bytes as it was when mapped.</summary>
    public long Length { get; protected init; }

    /// <summary>Makes the bytes from..to durable. Thread-safe against stores.</summary>
    public abstract void Sync(long from, long to);

    /// <summary>After a failed <see cref="Sync"/>: makes the next one write these bytes once more. Nobody else may be storing into them; the memory is writable.</summary>
    public abstract void Rewrite(long from, long to);

    /// <summary>Bytes from..to, which are zero, will be stored to next: may bring them into memory at once, not page by page.</summary>
    public virtual void Prepare(long from, long to)
    {
    }

    /// <summary>Stores many bytes at once, the same as a copy to <see cref="Pointer"/>. A kill in the midst of it leaves any of them.</summary>
    public virtual void Store(long at, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>(Pointer + at, bytes.Length));

    /// <summary>Bytes from..to have been stored or read and are hardly needed again: they need not count as this process's memory.</summary>
    public virtual void Leave(long from, long to)
    {
    }

    /// <summary>Unmaps.</summary>
    public abstract void Dispose();
}
