namespace Hikyaku.Log;

/// <summary>How <see cref="Disk.Open"/> opens a file.</summary>
public enum Opening
{
    /// <summary>For reading, a file that is there.</summary>
    Existing,

    /// <summary>As <see cref="Existing"/>, where others may have put anything: what is no regular file, but a link or a pipe, counts as missing.</summary>
    ExistingAmongForeign,

    /// <summary>For reading and writing, a file that is there.</summary>
    ExistingToChange,

    /// <summary>For reading and writing, for the owner alone (0600); made if it is missing.</summary>
    Own,

    /// <summary>As <see cref="Own"/>, emptied first.</summary>
    OwnAnew,

    /// <summary>For reading and appending, readable by the owner's group (0640); made if it is missing.</summary>
    Appending,
}

/// <summary>
/// The files of a node: logs, and the ordinary files beside them (cursors, journals, outputs). Those of this machine, or of a
/// simulated one. All failures are <see cref="IOException"/> with a message for people and errno as its HResult.
/// </summary>
public abstract class Disk
{
    /// <summary>The real one.</summary>
    public static Disk OfThisMachine { get; } = new MachineDisk();

    /// <summary>Names this boot of the machine: what was not synced before another one may be missing.</summary>
    public abstract Guid Boot { get; }

    /// <summary>The segments of the log in this directory.</summary>
    public abstract ILogStorage Log(string directory);

    /// <summary>Null only for a file that must be there and is not.</summary>
    public abstract DiskFile? Open(string path, Opening how);

    /// <summary>Renames a file atomically, replacing the target.</summary>
    public abstract void Rename(string from, string to);

    /// <summary>Paths of the files in the directory, in no order; empty if it does not exist.</summary>
    public abstract IReadOnlyList<string> List(string directory);

    /// <summary>Makes the directory and its missing parents with that mode; one that is there is no error.</summary>
    public abstract void MakeDirectory(string path, UnixFileMode mode);

    /// <summary>Makes creations and renames in the directory durable.</summary>
    public abstract void SyncDirectory(string path);

    /// <summary>What the name stands for now; false if there is no such file.</summary>
    public abstract bool TryStat(string path, out ulong inode, out long length);

    /// <summary>Opens for writing; see the other overload.</summary>
    public DiskFile OpenForWriting(string path, Opening how) =>
        Open(path, how) ?? throw new ArgumentOutOfRangeException(nameof(how), how, "writes");
}

/// <summary>An open file. Positions and lengths are bytes.</summary>
public abstract class DiskFile : IDisposable
{
    /// <summary>Reads until the target is full or the file ends; returns how much.</summary>
    public abstract int Read(Span<byte> target, long at);

    /// <summary>Writes all of it. What is there after a failure is not known.</summary>
    public abstract void Write(ReadOnlySpan<byte> bytes, long at);

    /// <summary>Appends as much as the disk takes at once, at least a byte; returns how much. For a file opened for appending.</summary>
    public abstract int Append(ReadOnlySpan<byte> bytes);

    /// <summary>Cuts the file to that length.</summary>
    public abstract void Truncate(long length);

    /// <summary>Makes sure of room for so many bytes, without changing the length.</summary>
    public abstract void Allocate(long bytes);

    /// <summary>Makes content and length durable. A failure means that something may be lost, whatever a later call says.</summary>
    public abstract void Sync();

    /// <summary>Closes.</summary>
    public abstract void Dispose();
}
