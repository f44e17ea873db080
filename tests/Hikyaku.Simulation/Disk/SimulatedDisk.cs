using Hikyaku.Log;

namespace Hikyaku.Simulation;

/// <summary>What a disk does wrong at present; chances are per call.</summary>
internal sealed class DiskFaults
{
    public double ReadFails { get; set; }
    public double WriteFails { get; set; }
    public double SyncFails { get; set; }
    public double NameFails { get; set; }

    /// <summary>Bytes it holds at most.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    public void Heal()
    {
        ReadFails = WriteFails = SyncFails = NameFails = 0;
        Capacity = long.MaxValue;
    }
}

/// <summary>
/// The disk of one machine. What was written is there for every process at once, and after a power cut only as far as it was
/// synced: of the rest each page, and each half of a page, is there or not as the dice fall; of the names a first part of the changes.
/// </summary>
internal sealed class SimulatedDisk(Scheduler scheduler) : IDisposable
{
    private readonly record struct NameChange(string Directory, string? Removed, string? Added, Inode? Inode);

    private readonly Dictionary<string, Inode> _durableNames = new(StringComparer.Ordinal);
    private readonly List<NameChange> _unsynced = [];
    private readonly List<Inode> _inodes = [];
    private ulong _lastInode;

    public Scheduler Scheduler => scheduler;
    public DiskFaults Faults { get; } = new();
    public Guid Boot { get; private set; } = NewBoot(scheduler.Dice);
    public Dictionary<string, Inode> Names { get; } = new(StringComparer.Ordinal);
    public Dictionary<string, SimulatedProcess> Locks { get; } = new(StringComparer.Ordinal);

    public IEnumerable<string> DurableNames => _durableNames.Keys;

    public long Used => Names.Values.Distinct().Sum(static i => Math.Max(i.Length, i.Reserved));

    public Inode NewInode()
    {
        var inode = new Inode(++_lastInode);
        _inodes.Add(inode);
        return inode;
    }

    public void Link(string path, Inode inode)
    {
        Names[path] = inode;
        _unsynced.Add(new NameChange(DirectoryOf(path), null, path, inode));
    }

    public void Unlink(string path)
    {
        Names.Remove(path);
        _unsynced.Add(new NameChange(DirectoryOf(path), path, null, null));
    }

    public void Rename(string from, string to)
    {
        Names.Remove(from, out var inode);
        Names[to] = inode!;
        _unsynced.Add(new NameChange(DirectoryOf(to), from, to, inode));
    }

    public void SyncDirectory(string directory)
    {
        foreach (var change in _unsynced.Where(c => c.Directory == directory))
            Apply(change);
        _unsynced.RemoveAll(c => c.Directory == directory);
    }

    public void CutPower()
    {
        Boot = NewBoot(scheduler.Dice);
        Locks.Clear();
        foreach (var directory in _unsynced.GroupBy(static c => c.Directory).ToArray())
        {
            foreach (var change in directory.Take(scheduler.Dice.Next(directory.Count() + 1)))
                Apply(change);
        }

        _unsynced.Clear();
        Names.Clear();
        foreach (var (path, inode) in _durableNames)
            Names[path] = inode;
        foreach (var inode in _inodes)
            inode.CutPower(scheduler.Dice);
    }

    public static string DirectoryOf(string path) => Path.GetDirectoryName(path) ?? "/";

    public void Dispose()
    {
        foreach (var inode in _inodes)
            inode.Dispose();
    }

    private void Apply(NameChange change)
    {
        if (change.Removed is { } removed)
            _durableNames.Remove(removed);
        if (change.Added is { } added)
            _durableNames[added] = change.Inode!;
    }

    private static Guid NewBoot(Random dice)
    {
        Span<byte> bytes = stackalloc byte[16];
        dice.NextBytes(bytes);
        return new Guid(bytes);
    }
}
