using Microsoft.Win32.SafeHandles;

namespace Hikyaku.Log;

/// <summary>The segments of one log as files of one directory, made (0700) by the first writer; its parent must be there.</summary>
public sealed unsafe class FileLogStorage(string directory) : ILogStorage
{
    /// <inheritdoc/>
    public string Location { get; } = directory;

    /// <inheritdoc/>
    public IDisposable Lock()
    {
        if (Libc.MakeDirectory(Location, 0x1C0 /* 0700 */) != 0 && Libc.Error is not Libc.EEXIST and var failure)
            throw Libc.Failure("make the log directory", Location, failure);
        int fd = Libc.Open(Location, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (fd < 0) throw Libc.Failure("open", Location, Libc.Error);
        var held = new SafeFileHandle(fd, ownsHandle: true);
        // The kernel frees the lock with the process, however it dies; so no stale lock file can be left.
        // A process that is just being started by the one before holds it too, until it executes its own program.
        int error = 0;
        for (int attempt = 0; attempt < 100; attempt++)
        {
            if (Libc.Lock(fd, Libc.LOCK_EX | Libc.LOCK_NB) == 0) return held;
            error = Libc.Error;
            if (error != Libc.EWOULDBLOCK) break;
            _ = Libc.Poll(0, 0, 5);
        }
        held.Dispose();
        if (error != Libc.EWOULDBLOCK) throw Libc.Failure("lock", Location, error);
        throw new LogException(LogFault.InUse, $"The log {Location} is already written by another process; stop that one first.");
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List()
    {
        try
        {
            var names = new List<string>();
            foreach (string path in Directory.EnumerateFiles(Location)) names.Add(Path.GetFileName(path));
            return names;
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LogException(LogFault.Storage, $"Cannot list the log directory {Location}: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public SegmentMemory Create(string name, long bytes)
    {
        string path = PathOf(name);
        // A file of that name may still be mapped by a reader: leave its bytes alone.
        _ = Libc.Unlink(path);
        int fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_CLOEXEC, 0x180 /* 0600 */);
        if (fd < 0) throw Libc.Failure("create", path, Libc.Error);
        try
        {
            Allocate(fd, path, bytes);
            return Map(fd, path, bytes, writable: true);
        }
        catch
        {
            _ = Libc.Unlink(path);
            throw;
        }
    }

    /// <inheritdoc/>
    public SegmentMemory? Open(string name, bool writable)
    {
        string path = PathOf(name);
        int fd = Libc.Open(path, (writable ? Libc.O_RDWR : Libc.O_RDONLY) | Libc.O_CLOEXEC, 0);
        if (fd < 0)
        {
            int error = Libc.Error;
            return error == Libc.ENOENT ? null : throw Libc.Failure("open", path, error);
        }
        long bytes = Libc.Seek(fd, 0, 2 /* SEEK_END */);
        if (bytes < 0)
        {
            int error = Libc.Error;
            _ = Libc.Close(fd);
            throw Libc.Failure("measure", path, error);
        }
        // A copy restored from a backup may be sparse, and a store into a hole on a full disk is SIGBUS.
        if (writable && bytes > 0) Allocate(fd, path, bytes);
        return Map(fd, path, bytes, writable);
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        if (Libc.Rename(PathOf(from), PathOf(to)) != 0) throw Libc.Failure("rename", $"{PathOf(from)} to {to}", Libc.Error);
    }

    /// <inheritdoc/>
    public void Delete(string name)
    {
        if (Libc.Unlink(PathOf(name)) == 0) return;
        int error = Libc.Error;
        if (error != Libc.ENOENT) throw Libc.Failure("delete", PathOf(name), error);
    }

    /// <inheritdoc/>
    public void SyncDirectory()
    {
        int fd = Libc.Open(Location, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (fd < 0) throw Libc.Failure("open", Location, Libc.Error);
        int error = Libc.Sync(fd) == 0 ? 0 : Libc.Error;
        _ = Libc.Close(fd);
        if (error != 0) throw Libc.Failure("commit", Location, error);
    }

    private string PathOf(string name) => Path.Combine(Location, name);

    // Closes the descriptor when it fails.
    private static void Allocate(int fd, string path, long bytes)
    {
        int error;
        do error = Libc.Allocate(fd, 0, bytes);
        while (error == Libc.EINTR);
        if (error == Libc.EOPNOTSUPP) error = WriteEveryPage(fd, bytes);
        if (error == 0) return;
        _ = Libc.Close(fd);
        throw Libc.Failure($"allocate {bytes} bytes for", path, error);
    }

    // Where the file system cannot allocate, only storing something makes sure of the space.
    private static int WriteEveryPage(int fd, long bytes)
    {
        for (long at = 0; at < bytes; at += 4096)
        {
            byte old = 0;
            nint read = Libc.PRead(fd, &old, 1, at);
            if (read < 0) return Libc.Error;
            if (Libc.PWrite(fd, &old, 1, at) != 1) return Libc.Error;
        }
        byte last = 0;
        if (Libc.PRead(fd, &last, 1, bytes - 1) < 0) return Libc.Error;
        return Libc.PWrite(fd, &last, 1, bytes - 1) == 1 ? 0 : Libc.Error;
    }

    // Closes the descriptor when it fails.
    private static SegmentFileMemory Map(int fd, string path, long bytes, bool writable)
    {
        nint address = 0;
        if (bytes > 0)
        {
            address = Libc.Map(0, (nint)bytes, writable ? Libc.PROT_READ | Libc.PROT_WRITE : Libc.PROT_READ, Libc.MAP_SHARED, fd, 0);
            if (address == -1)
            {
                int error = Libc.Error;
                _ = Libc.Close(fd);
                throw Libc.Failure("map", path, error);
            }
        }
        return new SegmentFileMemory(fd, path, (byte*)address, bytes);
    }
}
