using Hikyaku.Log;

namespace Hikyaku.Simulation;

/// <summary>A disk as one process sees it: calls fail as the disk's faults say, and the process may die within any of them.</summary>
internal sealed class ProcessDisk(SimulatedDisk disk, SimulatedProcess process) : Disk
{
    private const int Enotdir = 20, Eio = 5, Enomem = 12, Enospc = 28;

    public override Guid Boot => disk.Boot;

    public SimulatedDisk Whole => disk;

    public SimulatedProcess Process => process;

    public override ILogStorage Log(string directory) => new SimulatedLogStorage(this, directory);

    public override DiskFile? Open(string path, Opening how)
    {
        Call("open", path, disk.Faults.NameFails);
        if (disk.Names.ContainsKey(SimulatedDisk.DirectoryOf(path)))
            throw new IOException($"{path}: not a directory", Enotdir);
        if (!disk.Names.TryGetValue(path, out var inode))
        {
            if (how is Opening.Existing or Opening.ExistingAmongForeign or Opening.ExistingToChange)
                return null;
            disk.Link(path, inode = disk.NewInode());
        }
        else if (how == Opening.OwnAnew)
        {
            inode.SetLength(0);
            inode.Reserved = 0;
        }

        return new SimulatedFile(this, inode, path);
    }

    public override void Rename(string from, string to)
    {
        var dies = Call("rename", from, disk.Faults.NameFails, throwIfKilled: false);
        if (!dies || disk.Scheduler.Dice.Next(2) == 0)
            disk.Rename(from, to);
        if (dies)
            throw new KilledException();
    }

    public override IReadOnlyList<string> List(string directory)
    {
        Call("list", directory, disk.Faults.NameFails);
        return [.. disk.Names.Keys.Where(p => SimulatedDisk.DirectoryOf(p) == directory)];
    }

    public override void MakeDirectory(string path, UnixFileMode mode) => Call("make directory", path, disk.Faults.NameFails);

    public override void SyncDirectory(string path)
    {
        Call("sync directory", path, disk.Faults.SyncFails);
        disk.SyncDirectory(path);
    }

    public override bool TryStat(string path, out ulong inode, out long length)
    {
        Call("stat", path, disk.Faults.NameFails);
        var found = disk.Names.GetValueOrDefault(path);
        (inode, length) = (found?.Number ?? 0, found?.Length ?? 0);
        return found is not null;
    }

    /// <summary>A system call. Throws what it fails with; returns whether the process dies in it.</summary>
    public bool Call(string what, string path, double fails, bool throwIfKilled = true)
    {
        disk.Scheduler.Note(path.Length + what.Length);
        if (process.DiesAtThisCall())
            return throwIfKilled ? throw new KilledException() : true;
        if (fails > 0 && disk.Scheduler.Dice.NextDouble() < fails)
        {
            // Of a file underneath, what cannot be read for good is lost; the books ask for what can be had later.
            throw path.StartsWith(BypassedFile.Directory, StringComparison.Ordinal)
                ? new IOException($"{path}: {what}: out of memory", Enomem)
                : new IOException($"{path}: {what}: input/output error", Eio);
        }

        return false;
    }

    /// <summary>Bytes that can be had of so many for a file that grows.</summary>
    public int Room(Inode inode, long length, int bytes)
    {
        var grows = length + bytes - Math.Max(inode.Length, inode.Reserved);
        if (grows <= 0 || disk.Faults.Capacity == long.MaxValue)
            return bytes;
        var room = Math.Max(0, disk.Faults.Capacity - disk.Used);
        return grows <= room ? bytes : (int)Math.Max(0, bytes - (grows - room));
    }

    public static IOException Full(string path) => new($"{path}: no space left on device", Enospc);
}

internal sealed class SimulatedFile(ProcessDisk disk, Inode inode, string path) : DiskFile
{
    private Random Dice => disk.Whole.Scheduler.Dice;

    public override int Read(Span<byte> target, long at)
    {
        disk.Call("read", path, disk.Whole.Faults.ReadFails);
        return inode.Read(target, at);
    }

    public override void Write(ReadOnlySpan<byte> bytes, long at)
    {
        var done = Put(bytes, at, out var failure);
        if (failure is not null)
            throw failure;
        if (done < bytes.Length)
            throw ProcessDisk.Full(path);
    }

    public override int Append(ReadOnlySpan<byte> bytes)
    {
        var part = bytes.Length > 1 && Dice.Next(8) == 0 ? bytes[..Dice.Next(1, bytes.Length)] : bytes;
        var length = inode.Length;
        var done = Put(part, length, out var failure);
        // As the kernel does it: a call that wrote something says how much, and only the next one fails.
        if (failure is IOException)
            inode.SetLength(length);
        if (failure is not null)
            throw failure;
        return done > 0 || bytes.IsEmpty ? done : throw ProcessDisk.Full(path);
    }

    public override void Truncate(long length)
    {
        disk.Call("truncate", path, disk.Whole.Faults.WriteFails);
        inode.SetLength(length);
    }

    public override void Allocate(long bytes)
    {
        disk.Call("allocate", path, disk.Whole.Faults.WriteFails);
        if (disk.Room(inode, 0, (int)bytes) < bytes)
            throw ProcessDisk.Full(path);
        inode.Reserved = Math.Max(inode.Reserved, bytes);
    }

    public override void Sync()
    {
        try
        {
            disk.Call("sync", path, disk.Whole.Faults.SyncFails);
        }
        catch (IOException)
        {
            inode.FailSync();
            throw;
        }

        inode.Sync();
    }

    public override void Dispose()
    {
    }

    // A call that fails, or in which the process dies, may have written a part.
    private int Put(ReadOnlySpan<byte> bytes, long at, out Exception? failure)
    {
        failure = null;
        var count = disk.Room(inode, at, bytes.Length);
        try
        {
            if (disk.Call("write", path, disk.Whole.Faults.WriteFails, throwIfKilled: false))
                failure = new KilledException();
        }
        catch (IOException e)
        {
            failure = e;
        }

        if (failure is not null)
            count = Dice.Next(count + 1);
        inode.Write(bytes[..count], at);
        return count;
    }
}
