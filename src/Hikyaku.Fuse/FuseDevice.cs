using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>One connection to the kernel: an open /dev/fuse. Any thread may reply; the mount lives as long as any process holds it.</summary>
public sealed unsafe class FuseDevice : IDisposable
{
    private const string Path = "/dev/fuse";
    private const int NotifyResend = 7;

    // Short replies are copied by the kernel in well under a microsecond, so the collector may wait for them.
    private const int ShortReply = 512;

    private int _fd;

    private FuseDevice(int fd) => _fd = fd;

    /// <summary>The file descriptor; close-on-exec unless <see cref="SetInheritable"/> said otherwise.</summary>
    public int Descriptor => _fd;

    /// <summary>Opens /dev/fuse, unmounted yet.</summary>
    /// <exception cref="FuseException">There is no such device, or no permission for it.</exception>
    public static FuseDevice Open()
    {
        var fd = Libc.Open(Path, Libc.O_RDWR | Libc.O_CLOEXEC);
        if (fd >= 0)
            return new FuseDevice(fd);
        var errno = Marshal.GetLastPInvokeError();
        throw errno switch
        {
            Errno.ENOENT or Errno.ENODEV or Errno.ENXIO => new FuseException(FuseFailure.NoDevice,
                $"no {Path}: the kernel's fuse module is not loaded (modprobe fuse), or the container was not given the device"),
            Errno.EACCES or Errno.EPERM => new FuseException(FuseFailure.NoPrivilege,
                $"no permission for {Path}: run as root, or install fuse3 (fusermount3) and give this user the device"),
            _ => new FuseException(FuseFailure.Other, $"cannot open {Path}: {Errno.Text(errno)}"),
        };
    }

    /// <summary>Takes over an inherited or received descriptor and makes it close-on-exec.</summary>
    public static FuseDevice FromDescriptor(int descriptor)
    {
        var device = new FuseDevice(descriptor);
        device.SetInheritable(false);
        return device;
    }

    /// <summary>Whether a child started from now on gets the descriptor, under the same number.</summary>
    public void SetInheritable(bool inheritable)
    {
        if (Libc.Fcntl(_fd, Libc.F_SETFD, inheritable ? 0 : Libc.FD_CLOEXEC) < 0)
            throw new FuseException(FuseFailure.Other, $"descriptor {_fd} is not open: {Errno.Text(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>Whether <see cref="Read"/> waits for a request. It is a property of the connection, so it outlives the process.</summary>
    public void SetWaiting(bool waits)
    {
        if (Libc.Fcntl(_fd, Libc.F_SETFL, waits ? Libc.O_RDWR : Libc.O_RDWR | Libc.O_NONBLOCK) < 0)
            throw new FuseException(FuseFailure.Other, $"descriptor {_fd} is not open: {Errno.Text(Marshal.GetLastPInvokeError())}");
    }

    /// <summary>Reads one request, and waits for it unless <see cref="SetWaiting"/> said otherwise. The buffer must hold <see cref="FuseNegotiation.RequestBytes"/> and stay where it is meanwhile.</summary>
    public FuseReadResult Read(byte* buffer, int size, out int length)
    {
        while (true)
        {
            var n = Libc.Read(_fd, buffer, (nuint)size);
            length = (int)n;
            if (n > 0)
                return FuseReadResult.Request;
            length = 0;
            if (n == 0)
                return FuseReadResult.Closed;
            switch (Marshal.GetLastPInvokeError())
            {
                // ENOENT: the request was interrupted before it could be copied.
                case Errno.ENOENT or Errno.EINTR:
                    continue;
                case Errno.EAGAIN:
                    return FuseReadResult.Nothing;
                case Errno.ENODEV:
                    return FuseReadResult.Unmounted;
                case Errno.ECONNABORTED:
                    return FuseReadResult.Aborted;
                case var errno:
                    throw new FuseException(FuseFailure.Protocol, $"reading from {Path} with {size} bytes of room: {Errno.Text(errno)}");
            }
        }
    }

    /// <summary>Answers a request. One that the kernel no longer waits for is not an error.</summary>
    /// <param name="rawUnique"><see cref="FuseRequest.RawUnique"/> of the request.</param>
    /// <param name="payload">What follows the header of the reply, as the operation wants it; may be empty.</param>
    public void Reply(ulong rawUnique, ReadOnlySpan<byte> payload)
    {
        var header = new OutHeader { Length = (uint)(sizeof(OutHeader) + payload.Length), Unique = rawUnique };
        fixed (byte* bytes = payload)
        {
            var parts = stackalloc Libc.IoVec[2];
            parts[0] = new Libc.IoVec { Start = (byte*)&header, Length = (nuint)sizeof(OutHeader) };
            parts[1] = new Libc.IoVec { Start = bytes, Length = (nuint)payload.Length };
            while (Libc.WriteV(_fd, parts, payload.IsEmpty ? 1 : 2) < 0 && MustRetry(Marshal.GetLastPInvokeError()))
            {
            }
        }
    }

    /// <summary>Answers a request with an error number (positive).</summary>
    public void ReplyError(ulong rawUnique, int errno)
    {
        var header = new OutHeader { Length = (uint)sizeof(OutHeader), Error = -errno, Unique = rawUnique };
        Send((byte*)&header, sizeof(OutHeader));
    }

    /// <summary>
    /// Asks the kernel to send everything again that was read but not answered. First thing for a successor process, before it reads.
    /// </summary>
    /// <exception cref="FuseException">The kernel is older than 6.9 (<see cref="FuseNegotiation.CanResend"/>), or the device is not mounted.</exception>
    public void SendResend()
    {
        var header = new OutHeader { Length = (uint)sizeof(OutHeader), Error = NotifyResend };
        while (Libc.Write(_fd, (byte*)&header, (nuint)sizeof(OutHeader)) < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            if (errno != Errno.EINTR)
                throw new FuseException(FuseFailure.Protocol, $"the kernel refused to send requests again: {Errno.Text(errno)}");
        }
    }

    /// <summary>
    /// Makes a file known to the kernel, so that opens may be answered with <see cref="OpenReplyFlags.Passthrough"/> and its id. All opens of
    /// one file must name the same id while any of them is open. Ids live as long as the connection, longer than this process.
    /// </summary>
    /// <returns>The id, above 0; or a negative error number, -EPERM without CAP_SYS_ADMIN.</returns>
    public int OpenBacking(int file)
    {
        const nuint open = 0x4010e501;
        var map = new BackingMap { Descriptor = file };
        var id = Libc.IOCtl(_fd, open, &map);
        return id < 0 ? -Marshal.GetLastPInvokeError() : id;
    }

    /// <summary>Forgets a file that no open names any more.</summary>
    public void CloseBacking(int id)
    {
        const nuint close = 0x4004e502;
        var number = (uint)id;
        _ = Libc.IOCtl(_fd, close, &number);
    }

    /// <summary>Sends a complete reply, header included, in one write.</summary>
    internal void Send(byte* reply, int length)
    {
        if (length <= ShortReply)
        {
            if (Libc.WriteShort(_fd, reply, (nuint)length) >= 0 || !MustRetry(Marshal.GetLastSystemError()))
                return;
        }
        while (Libc.Write(_fd, reply, (nuint)length) < 0 && MustRetry(Marshal.GetLastPInvokeError()))
        {
        }
    }

    /// <summary>Closes the descriptor. When it was the last one of the connection, the kernel aborts the mount.</summary>
    public void Dispose()
    {
        var fd = Interlocked.Exchange(ref _fd, -1);
        if (fd >= 0)
            _ = Libc.Close(fd);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct BackingMap
    {
        public int Descriptor;
        public uint Flags;
        public ulong Padding;
    }

    private static bool MustRetry(int errno) => errno switch
    {
        Errno.EINTR => true,
        // Nobody waits any more: the caller was killed, the mount is gone, or (a socket in place of the device) the peer is.
        Errno.ENOENT or Errno.ENODEV or Errno.ECONNABORTED or Errno.EPIPE => false,
        _ => throw new FuseException(FuseFailure.Protocol, $"the kernel refused a reply: {Errno.Text(errno)}"),
    };
}
