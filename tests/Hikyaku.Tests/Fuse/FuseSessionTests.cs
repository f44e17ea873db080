using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Xunit;

namespace Hikyaku.Tests.Fuse;

public sealed class FuseSessionTests
{
    private static readonly FuseNegotiation Negotiation = new(45, InitFlags.HasResend, 255 * 4096, 256);

    [Fact]
    public void Requests_are_answered_in_turn_until_the_mount_is_gone()
    {
        using var kernel = new SocketKernel();
        var system = new RecordingFileSystem();
        using var session = new FuseSession(kernel.Device, Negotiation, system);
        kernel.Send(RequestBytes.Of(Opcode.Forget, 1, RequestBytes.Struct(new ForgetIn { Lookups = 1 })));
        kernel.Send(RequestBytes.Of(Opcode.Write, 2, RequestBytes.Struct(new WriteIn { Size = 3 }), "abc"u8.ToArray()));
        kernel.Send(RequestBytes.Of(Opcode.Read, 3, RequestBytes.Struct(new ReadIn { Size = 4096 })));
        kernel.Send(RequestBytes.Of((Opcode)52, 4));
        var running = Task.Run(session.Run);
        Assert.Equal((24, 2ul), Summary(kernel.Receive()));
        Assert.Equal((16 + 4096, 3ul), Summary(kernel.Receive()));
        Assert.Equal((16, 4ul), Summary(kernel.Receive()));
        kernel.Close();
        Assert.True(running.Wait(TimeSpan.FromSeconds(20)), "the session did not end");
        Assert.Equal(FuseReadResult.Closed, running.Result);
        Assert.Equal(3, system.Calls.Count);
    }

    [Fact]
    public void Deferred_request_is_answered_from_another_thread()
    {
        using var kernel = new SocketKernel();
        using var session = new FuseSession(kernel.Device, Negotiation, new RecordingFileSystem { Answer = FileSystem.Deferred });
        kernel.Send(RequestBytes.Of(Opcode.FSync, 9 | FuseRequest.ResentBit, RequestBytes.Struct(default(FSyncIn))));
        Assert.Equal(FuseReadResult.Request, session.RunOne());
        Task.Run(() => kernel.Device.Reply(9 | FuseRequest.ResentBit, "later"u8)).Wait();
        var reply = kernel.Receive();
        Assert.Equal((16 + 5, 9 | FuseRequest.ResentBit), Summary(reply));
        Assert.Equal("later"u8.ToArray(), reply[16..]);
        kernel.Device.ReplyError(10, Errno.EIO);
        reply = kernel.Receive();
        Assert.Equal((16, 10ul), Summary(reply));
        Assert.Equal(-Errno.EIO, MemoryMarshal.Read<OutHeader>(reply).Error);
        kernel.Device.Reply(11, default);
        Assert.Equal((16, 11ul), Summary(kernel.Receive()));
    }

    [Fact]
    public void Resending_is_asked_for_by_sixteen_bytes()
    {
        using var kernel = new SocketKernel();
        kernel.Device.SendResend();
        Assert.Equal("10000000" + "07000000" + "0000000000000000", Convert.ToHexStringLower(kernel.Receive()));
    }

    [Fact]
    public void Reply_that_nobody_waits_for_is_no_error()
    {
        using var kernel = new SocketKernel();
        kernel.Close();
        kernel.Device.Reply(1, "x"u8);
        kernel.Device.ReplyError(1, Errno.EIO);
    }

    [Fact]
    public void INIT_is_answered_on_the_device()
    {
        using var kernel = new SocketKernel();
        kernel.Send(RequestBytes.Of(Opcode.Init, 1, RequestBytes.Struct(new InitIn { Major = 8 })));
        kernel.Send(RequestBytes.Of(Opcode.Init, 2, RequestBytes.Struct(new InitIn { Major = 7, Minor = 40, Flags = uint.MaxValue, Flags2 = uint.MaxValue })));
        var negotiation = FuseNegotiation.Answer(kernel.Device);
        Assert.True(negotiation.CanResend);
        Assert.Equal((16 + 64, 1ul), Summary(kernel.Receive()));
        var reply = kernel.Receive();
        Assert.Equal((16 + 64, 2ul), Summary(reply));
        Assert.Equal(40u, MemoryMarshal.Read<InitOut>(reply.AsSpan(16)).Minor);
    }

    [Fact]
    public void INIT_that_never_comes_is_an_error()
    {
        using var kernel = new SocketKernel();
        kernel.Close();
        Assert.Equal(FuseFailure.Protocol, Assert.Throws<FuseException>(() => FuseNegotiation.Answer(kernel.Device)).Failure);
    }

    [Fact]
    public void Serving_a_write_allocates_nothing()
    {
        using var kernel = new SocketKernel();
        var system = new CountingFileSystem();
        using var session = new FuseSession(kernel.Device, Negotiation, system);
        var request = RequestBytes.Of(Opcode.Write, RequestBytes.Struct(new WriteIn { Size = 128 }), new byte[128]);
        var reply = new byte[64];
        Serve(100);
        // A collection that another test causes in between counts what was left of this thread's room as allocated.
        Assert.Equal(0, Enumerable.Range(0, 5).Min(_ =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            Serve(1000);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }));
        Assert.Equal(5100 * 128, system.Bytes);

        void Serve(int times)
        {
            for (var i = 0; i < times; i++)
            {
                kernel.Send(request);
                session.RunOne();
                if (kernel.Receive(reply) != 24)
                    throw new InvalidOperationException("no reply");
            }
        }
    }

    [Fact]
    public void Descriptor_is_inherited_only_while_asked_for()
    {
        using var kernel = new SocketKernel();
        var device = kernel.Device;
        Assert.Equal(Libc.FD_CLOEXEC, Libc.Fcntl(device.Descriptor, GetFd, 0));
        device.SetInheritable(true);
        Assert.Equal(0, Libc.Fcntl(device.Descriptor, GetFd, 0));
        device.SetInheritable(false);
        Assert.Equal(Libc.FD_CLOEXEC, Libc.Fcntl(device.Descriptor, GetFd, 0));
    }

    [Fact]
    public void Descriptor_that_is_not_open_is_refused() => Assert.Throws<FuseException>(() => FuseDevice.FromDescriptor(999_999));

    private const int GetFd = 1;

    private static (int Length, ulong Unique) Summary(byte[] reply)
    {
        var header = MemoryMarshal.Read<OutHeader>(reply);
        Assert.Equal((uint)reply.Length, header.Length);
        return (reply.Length, header.Unique);
    }
}
