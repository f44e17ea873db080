using Hikyaku.Fuse;

namespace Hikyaku.Tests.Fuse;

/// <summary>A pair of sockets in place of the device: the test plays the kernel.</summary>
internal sealed unsafe class SocketKernel : IDisposable
{
    private int _end;

    public SocketKernel()
    {
        var ends = stackalloc int[2];
        if (Libc.SocketPair(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC, 0, ends) < 0)
            throw new InvalidOperationException("no socket pair");
        _end = ends[0];
        Device = FuseDevice.FromDescriptor(ends[1]);
    }

    public FuseDevice Device { get; }

    public void Send(ReadOnlySpan<byte> request)
    {
        fixed (byte* bytes = request)
        {
            if (Libc.Write(_end, bytes, (nuint)request.Length) != request.Length)
                throw new InvalidOperationException("request not sent");
        }
    }

    /// <summary>Waits for one message; the length is all that counts where allocation is measured.</summary>
    public int Receive(Span<byte> buffer)
    {
        fixed (byte* bytes = buffer)
            return (int)Libc.Read(_end, bytes, (nuint)buffer.Length);
    }

    public byte[] Receive()
    {
        var buffer = new byte[65536];
        return buffer[..Receive(buffer)];
    }

    /// <summary>The mount is gone.</summary>
    public void Close()
    {
        if (_end >= 0)
            _ = Libc.Close(_end);
        _end = -1;
    }

    public void Dispose()
    {
        Close();
        Device.Dispose();
    }
}
