namespace Hikyaku.Mount;

/// <summary>Wakes the reader of the log, but only when it says that it sleeps: 8 mapped bytes, written by the reader alone.</summary>
internal sealed unsafe class Doorbell : IDisposable
{
    private const int Bytes = 8;

    private readonly ulong* _asleep;
    private readonly int _eventFd;

    /// <exception cref="MountException">The file cannot be made or mapped.</exception>
    public Doorbell(string path, int eventFd)
    {
        _eventFd = eventFd;
        Libc.MakeDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_CLOEXEC, 0x180 /* 0600 */);
        if (fd < 0)
            throw new MountException($"cannot open the doorbell {path}: {Fuse.Errno.Text(Libc.Error)}");
        // Whoever comes first makes it long enough; allocated, since a store into a hole could meet a full disk.
        var error = Libc.PosixFAllocate(fd, 0, Bytes);
        var start = error == 0 ? Libc.MMap(0, Bytes, Libc.PROT_READ, Libc.MAP_SHARED, fd, 0) : -1;
        if (error == 0 && start == -1)
            error = Libc.Error;
        _ = Libc.Close(fd);
        if (error != 0)
            throw new MountException($"cannot map the doorbell {path}: {Fuse.Errno.Text(error)}");
        _asleep = (ulong*)start;
    }

    /// <summary>Call after an append and a full fence: the reader sets the word, fences, and looks at the log once more.</summary>
    public void RingIfAsleep()
    {
        if (Volatile.Read(ref *_asleep) != 1)
            return;
        var one = 1ul;
        _ = Libc.Write(_eventFd, (byte*)&one, sizeof(ulong));
    }

    public void Dispose() => _ = Libc.MUnmap((nint)_asleep, Bytes);
}
