namespace Hikyaku.Log;

internal sealed unsafe class SegmentFileMemory : SegmentMemory
{
    private readonly string _path;
    private int _fd;

    public SegmentFileMemory(int fd, string path, byte* pointer, long length)
    {
        _fd = fd;
        _path = path;
        Pointer = pointer;
        Length = length;
    }

    // By descriptor and not msync: on a read-only mapping msync does nothing and says so to nobody.
    public override void Sync(long from, long to)
    {
        ObjectDisposedException.ThrowIf(_fd < 0, this);
        while (Libc.DataSync(_fd) != 0)
        {
            int error = Libc.Error;
            if (error != Libc.EINTR) throw Libc.Failure("commit", _path, error);
        }
    }

    // A store, even of the same value, makes the page dirty again.
    public override void Rewrite(long from, long to)
    {
        for (long at = from; at < to; at += 4096) Volatile.Write(ref Pointer[at], Volatile.Read(ref Pointer[at]));
    }

    public override void Dispose()
    {
        int fd = Interlocked.Exchange(ref _fd, -1);
        if (fd < 0) return;
        if (Length > 0) _ = Libc.Unmap((nint)Pointer, (nint)Length);
        _ = Libc.Close(fd);
    }
}
