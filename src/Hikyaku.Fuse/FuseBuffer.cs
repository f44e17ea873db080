using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>
/// Page-aligned memory outside the GC heap, all of it present. A process killed while the kernel copies into absent memory would
/// give the writing program an I/O error; present memory makes the copy uninterruptible.
/// </summary>
internal sealed unsafe class FuseBuffer : IDisposable
{
    public FuseBuffer(int length)
    {
        Length = length;
        var address = Libc.MMap(0, (nuint)length, Libc.PROT_READ | Libc.PROT_WRITE,
            Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_POPULATE, -1, 0);
        if (address == -1)
            throw new FuseException(FuseFailure.Other, $"no memory for a buffer of {length} bytes: {Errno.Text(Marshal.GetLastPInvokeError())}");
        // Best effort: refused above RLIMIT_MEMLOCK, and then swapping remains possible.
        _ = Libc.MLock(address, (nuint)length);
        Pointer = (byte*)address;
    }

    public byte* Pointer { get; private set; }

    public int Length { get; }

    public void Dispose()
    {
        if (Pointer == null)
            return;
        _ = Libc.MUnmap((nint)Pointer, (nuint)Length);
        Pointer = null;
    }
}
