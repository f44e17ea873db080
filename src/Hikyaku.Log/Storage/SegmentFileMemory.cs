namespace Hikyaku.Log;

internal sealed unsafe class SegmentFileMemory : SegmentMemory
{
    private const long PageBytes = 4096;

    private static readonly byte[] Zeros = new byte[256 << 10];

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

    // One system call makes large pages in the file's cache; the first store to each page of a hole would make a small one, at several
    // times the cost. If it fails, the stores do that.
    public override void Prepare(long from, long to)
    {
        for (; from < to; from += Zeros.Length)
        {
            fixed (byte* zeros = Zeros)
                _ = Libc.PWrite(_fd, zeros, (nint)Math.Min(Zeros.Length, to - from), from);
        }
    }

    // What the system call leaves, the stores do.
    public override void Store(long at, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            nint done = Math.Max(Libc.PWrite(_fd, start, bytes.Length, at), 0);
            base.Store(at + done, bytes[(int)done..]);
        }
    }

    // The bytes stay in the file's cache, and what is dirty of them is written from there.
    public override void Leave(long from, long to)
    {
        from = (from + PageBytes - 1) & -PageBytes;
        to &= -PageBytes;
        if (from < to) _ = Libc.Advise((nint)(Pointer + from), (nint)(to - from), Libc.MADV_DONTNEED);
    }

    public override void Dispose()
    {
        int fd = Interlocked.Exchange(ref _fd, -1);
        if (fd < 0) return;
        if (Length > 0) _ = Libc.Unmap((nint)Pointer, (nint)Length);
        _ = Libc.Close(fd);
    }
}
