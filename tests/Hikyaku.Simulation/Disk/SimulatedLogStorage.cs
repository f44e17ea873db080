using Hikyaku.Log;

namespace Hikyaku.Simulation;

/// <summary>The segments of one log on a simulated disk.</summary>
internal sealed class SimulatedLogStorage(ProcessDisk disk, string directory) : ILogStorage
{
    public string Location => directory;

    public IDisposable Lock()
    {
        Call("lock", directory, disk.Whole.Faults.NameFails);
        if (disk.Whole.Locks.TryGetValue(directory, out var holder) && holder.IsAlive)
            throw new LogException(LogFault.InUse, $"{directory} is in use");
        disk.Whole.Locks[directory] = disk.Process;
        return new Hold(disk.Whole, directory, disk.Process);
    }

    public IReadOnlyList<string> List()
    {
        Call("list", directory, disk.Whole.Faults.NameFails);
        return [.. disk.Whole.Names.Keys.Where(p => SimulatedDisk.DirectoryOf(p) == directory).Select(static p => Path.GetFileName(p))];
    }

    public unsafe SegmentMemory Create(string name, long bytes)
    {
        var path = Path.Combine(directory, name);
        Call("create", path, disk.Whole.Faults.NameFails);
        var inode = disk.Whole.NewInode();
        if (disk.Room(inode, 0, (int)bytes) < bytes)
            throw new LogException(LogFault.DiskFull, $"{path}: no space left on device");
        inode.SetLength(bytes);
        if (disk.Whole.Names.ContainsKey(path))
            disk.Whole.Unlink(path);
        disk.Whole.Link(path, inode);
        return new Mapping(disk, inode, path);
    }

    public SegmentMemory? Open(string name, bool writable)
    {
        var path = Path.Combine(directory, name);
        Call("open", path, disk.Whole.Faults.NameFails);
        return disk.Whole.Names.TryGetValue(path, out var inode) ? new Mapping(disk, inode, path) : null;
    }

    public void Rename(string from, string to)
    {
        var path = Path.Combine(directory, from);
        var dies = Call("rename", path, disk.Whole.Faults.NameFails, throwIfKilled: false);
        if (!disk.Whole.Names.ContainsKey(path))
            throw new LogException(LogFault.Storage, $"{path}: no such file");
        if (!dies || disk.Whole.Scheduler.Dice.Next(2) == 0)
            disk.Whole.Rename(path, Path.Combine(directory, to));
        if (dies)
            throw new KilledException();
    }

    public void Delete(string name)
    {
        var path = Path.Combine(directory, name);
        Call("delete", path, disk.Whole.Faults.NameFails);
        if (disk.Whole.Names.ContainsKey(path))
            disk.Whole.Unlink(path);
    }

    public void SyncDirectory()
    {
        Call("sync directory", directory, disk.Whole.Faults.SyncFails);
        disk.Whole.SyncDirectory(directory);
    }

    private bool Call(string what, string path, double fails, bool throwIfKilled = true)
    {
        try
        {
            return disk.Call(what, path, fails, throwIfKilled);
        }
        catch (IOException e)
        {
            throw new LogException(LogFault.Storage, e.Message, e);
        }
    }

    private sealed class Hold(SimulatedDisk whole, string directory, SimulatedProcess holder) : IDisposable
    {
        public void Dispose()
        {
            if (whole.Locks.GetValueOrDefault(directory) == holder)
                whole.Locks.Remove(directory);
        }
    }

    private sealed unsafe class Mapping : SegmentMemory
    {
        private readonly ProcessDisk _disk;
        private readonly Inode _inode;
        private readonly string _path;

        public Mapping(ProcessDisk disk, Inode inode, string path)
        {
            (_disk, _inode, _path) = (disk, inode, path);
            Pointer = inode.Pointer;
            Length = inode.Length;
        }

        public override void Sync(long from, long to)
        {
            try
            {
                _disk.Call("sync", _path, _disk.Whole.Faults.SyncFails);
            }
            catch (IOException e)
            {
                _inode.FailSync();
                throw new LogException(LogFault.Storage, e.Message, e);
            }

            _inode.Sync(from, to);
        }

        public override void Rewrite(long from, long to) => _inode.Rewrite(from, to);

        public override void Prepare(long from, long to)
        {
            if (new ReadOnlySpan<byte>(Pointer + from, (int)(to - from)).ContainsAnyExcept((byte)0))
                _disk.Whole.Scheduler.Fail(new InvalidOperationException($"{_path}: what is there would be overwritten"));
            _disk.Call("prepare", _path, fails: 0);
        }

        // A process that dies in the call has stored a part.
        public override void Store(long at, ReadOnlySpan<byte> bytes)
        {
            var dies = _disk.Call("store", _path, fails: 0, throwIfKilled: false);
            base.Store(at, dies ? bytes[.._disk.Whole.Scheduler.Dice.Next(bytes.Length + 1)] : bytes);
            if (dies)
                throw new KilledException();
        }

        public override void Dispose()
        {
        }
    }
}
