using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Xunit;

namespace Hikyaku.Tests.Fuse;

public sealed class FuseDispatchTests
{
    private readonly RecordingFileSystem _system = new();
    private readonly byte[] _reply = new byte[8192];

    public static TheoryData<byte[], string> GoodRequests => new()
    {
        { RequestBytes.Of(Opcode.Lookup, RequestBytes.Name("access.log")), "Lookup node=7 name=access.log" },
        {
            RequestBytes.Of(Opcode.GetAttr, RequestBytes.Struct(new GetAttrIn { Flags = GetAttrFlags.Handle, Handle = 3 })),
            "GetAttr node=7 flags=Handle handle=3"
        },
        {
            RequestBytes.Of(Opcode.SetAttr, RequestBytes.Struct(new SetAttrIn
            {
                Valid = SetAttrValid.Size | SetAttrValid.Mode, Handle = 1, Size = 2, ATime = -3, ATimeNsec = 4, MTime = 5, MTimeNsec = 6,
                Mode = 7, Uid = 8, Gid = 9,
            })),
            "SetAttr node=7 valid=Mode, Size handle=1 size=2 atime=-3.4 mtime=5.6 mode=7 uid=8 gid=9"
        },
        { RequestBytes.Of(Opcode.ReadLink), "ReadLink node=7" },
        { RequestBytes.Of(Opcode.Symlink, RequestBytes.Name("a"), RequestBytes.Name("../b/c")), "Symlink node=7 name=a target=../b/c" },
        {
            RequestBytes.Of(Opcode.MkNod, RequestBytes.Struct(new MkNodIn { Mode = 1, Rdev = 2, Umask = 3 }), RequestBytes.Name("n")),
            "MkNod node=7 mode=1 rdev=2 umask=3 name=n"
        },
        {
            RequestBytes.Of(Opcode.MkDir, RequestBytes.Struct(new MkDirIn { Mode = 1, Umask = 3 }), RequestBytes.Name("d")),
            "MkDir node=7 mode=1 umask=3 name=d"
        },
        { RequestBytes.Of(Opcode.Unlink, RequestBytes.Name("...")), "Unlink node=7 name=..." },
        { RequestBytes.Of(Opcode.RmDir, RequestBytes.Name("d")), "RmDir node=7 name=d" },
        {
            RequestBytes.Of(Opcode.Rename, RequestBytes.Struct(new RenameIn { NewParent = 8 }), RequestBytes.Name("a"), RequestBytes.Name("b")),
            "Rename node=7 name=a to=8/b flags=None"
        },
        {
            RequestBytes.Of(Opcode.Rename2, RequestBytes.Struct(new Rename2In { NewParent = 8, Flags = RenameFlags.Exchange }),
                RequestBytes.Name("a"), RequestBytes.Name("b")),
            "Rename2 node=7 name=a to=8/b flags=Exchange"
        },
        { RequestBytes.Of(Opcode.Link, RequestBytes.Struct(new LinkIn { NodeId = 9 }), RequestBytes.Name("l")), "Link node=7 file=9 name=l" },
        { RequestBytes.Of(Opcode.Open, RequestBytes.Struct(new OpenIn { Flags = 1025 })), "Open node=7 flags=1025" },
        {
            RequestBytes.Of(Opcode.Read, RequestBytes.Struct(new ReadIn { Handle = 5, Offset = 100, Size = 33 })),
            "Read node=7 handle=5 offset=100 room=33"
        },
        {
            RequestBytes.Of(Opcode.Write, RequestBytes.Struct(new WriteIn { Handle = 5, Offset = 1ul << 40, Size = 5, WriteFlags = WriteFlags.Cache }),
                "line\n"u8.ToArray()),
            "Write node=7 handle=5 offset=1099511627776 flags=Cache data=line\n"
        },
        { RequestBytes.Of(Opcode.StatFs), "StatFs node=7" },
        {
            RequestBytes.Of(Opcode.Release, RequestBytes.Struct(new ReleaseIn { Handle = 5, Flags = 2, LockOwner = 3 })),
            "Release node=7 handle=5 flags=2 owner=3"
        },
        {
            RequestBytes.Of(Opcode.FSync, RequestBytes.Struct(new FSyncIn { Handle = 5, Flags = FSyncFlags.DataOnly })),
            "FSync node=7 handle=5 flags=DataOnly"
        },
        { RequestBytes.Of(Opcode.Flush, RequestBytes.Struct(new FlushIn { Handle = 5, LockOwner = 3 })), "Flush node=7 handle=5 owner=3" },
        { RequestBytes.Of(Opcode.OpenDir, RequestBytes.Struct(new OpenIn { Flags = 7 })), "OpenDir node=7 flags=7" },
        {
            RequestBytes.Of(Opcode.ReadDir, RequestBytes.Struct(new ReadIn { Handle = 5, Offset = 2, Size = 4096 })),
            "ReadDir node=7 handle=5 offset=2 room=4096"
        },
        { RequestBytes.Of(Opcode.ReleaseDir, RequestBytes.Struct(new ReleaseIn { Handle = 5 })), "ReleaseDir node=7 handle=5" },
        { RequestBytes.Of(Opcode.FSyncDir, RequestBytes.Struct(new FSyncIn { Handle = 5 })), "FSyncDir node=7 handle=5 flags=None" },
        {
            RequestBytes.Of(Opcode.Create, RequestBytes.Struct(new CreateIn { Flags = 1, Mode = 2, Umask = 3 }), RequestBytes.Name("c")),
            "Create node=7 flags=1 mode=2 umask=3 name=c"
        },
        { RequestBytes.Of(Opcode.Access, RequestBytes.Struct(new AccessIn { Mask = 4 })), "Access node=7 mask=4" },
        {
            RequestBytes.Of(Opcode.FAllocate, RequestBytes.Struct(new FAllocateIn { Handle = 5, Offset = 1, Length = 2, Mode = 3 })),
            "FAllocate node=7 handle=5 offset=1 length=2 mode=3"
        },
        {
            RequestBytes.Of(Opcode.LSeek, RequestBytes.Struct(new LSeekIn { Handle = 5, Offset = 1, Whence = 3 })),
            "LSeek node=7 handle=5 offset=1 whence=3"
        },
        {
            RequestBytes.Of(Opcode.GetXAttr, RequestBytes.Struct(new GetXAttrIn { Size = 64 }), RequestBytes.Name("user.a/b")),
            "GetXAttr node=7 size=64 name=user.a/b"
        },
        { RequestBytes.Of(Opcode.ListXAttr, RequestBytes.Struct(new GetXAttrIn { Size = 64 })), "ListXAttr node=7 size=64" },
        {
            RequestBytes.Of(Opcode.SetXAttr, RequestBytes.Struct(new SetXAttrIn { Size = 3, Flags = 1 }), RequestBytes.Name("user.x"), [1, 0, 2]),
            "SetXAttr node=7 flags=1 name=user.x value=\u0001\0\u0002"
        },
        { RequestBytes.Of(Opcode.RemoveXAttr, RequestBytes.Name("user.x")), "RemoveXAttr node=7 name=user.x" },
    };

    [Theory]
    [MemberData(nameof(GoodRequests))]
    public void Request_reaches_its_operation_with_its_values(byte[] request, string call)
    {
        var length = Dispatch(request);
        Assert.Equal([call], _system.Calls);
        var header = Header();
        Assert.Equal((uint)length, header.Length);
        Assert.Equal(0, header.Error);
        Assert.Equal(RequestBytes.Unique, header.Unique);
    }

    // Recorded from Linux 6.18 on x64: the independent witness that the layouts are right.
    [Theory]
    [InlineData(
        "4300000023000000080000000000000001000000000000000000000000000000982300000000000041820000a481000012000000000000006163636573732e6c6f6700",
        "Create node=1 flags=33345 mode=33188 umask=18 name=access.log")]
    [InlineData(
        "56000000100000001800000000000000020000000000000000000000000000009823000000000000000000000000000006000000000000000600000002000000"
        + "dea5d5ff163adf63018400000000000068656c6c6f0a",
        "Write node=2 handle=0 offset=6 flags=LockOwner data=hello\n")]
    [InlineData(
        "8000000004000000220000000000000002000000000000000000000000000000a523000000000000480200000000000000000000000000000300000000000000"
        + "6dbe594b4d20beeb0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        "SetAttr node=2 valid=Size, Handle, LockOwner handle=0 size=3 atime=0.0 mtime=0.0 mode=0 uid=0 gid=0")]
    [InlineData(
        "80000000040000003a0000000000000002000000000000000000000000000000a823000000000000010000000000000000000000000000000000000000000000"
        + "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000008081000000000000000000000000000000000000",
        "SetAttr node=2 valid=Mode handle=0 size=0 atime=0.0 mtime=0.0 mode=33152 uid=0 gid=0")]
    [InlineData(
        "500000002d0000002a0000000000000001000000000000000000000000000000a62300000000000001000000000000000100000000000000"
        + "6163636573732e6c6f67006163636573732e6c6f672e3100",
        "Rename2 node=1 name=access.log to=1/access.log.1 flags=NoReplace")]
    [InlineData(
        "3200000009000000380000000000000001000000000000000000000000000000a723000000000000ed010000120000006400",
        "MkDir node=1 mode=493 umask=18 name=d")]
    public void Request_recorded_from_a_kernel_is_understood(string bytes, string call)
    {
        Dispatch(Convert.FromHexString(bytes));
        Assert.Equal([call], _system.Calls);
        Assert.Equal(0, Header().Error);
    }

    [Fact]
    public void Reply_to_a_write_is_twentyfour_bytes()
    {
        Assert.Equal(24, Dispatch(RequestBytes.Of(Opcode.Write, RequestBytes.Struct(new WriteIn { Size = 5 }), "line\n"u8.ToArray())));
        Assert.Equal("18000000" + "00000000" + "4200000000000000" + "05000000" + "00000000", Convert.ToHexStringLower(_reply.AsSpan(0, 24)));
    }

    [Fact]
    public void Caller_and_resent_bit_are_read_from_the_header()
    {
        var request = new FuseRequest(RequestBytes.Of(Opcode.StatFs, 5 | FuseRequest.ResentBit));
        Assert.Equal(5ul, request.Unique);
        Assert.Equal(5 | FuseRequest.ResentBit, request.RawUnique);
        Assert.True(request.Resent);
        Assert.False(new FuseRequest(RequestBytes.Of(Opcode.StatFs, 5)).Resent);
        Assert.Equal((1000u, 100u, 4321u), (request.Uid, request.Gid, request.Pid));
    }

    [Fact]
    public void Reply_to_a_resent_request_carries_the_bit()
    {
        Dispatch(RequestBytes.Of(Opcode.StatFs, 5 | FuseRequest.ResentBit));
        Assert.Equal(5 | FuseRequest.ResentBit, Header().Unique);
    }

    [Fact]
    public void Error_of_an_operation_is_the_whole_reply()
    {
        _system.Answer = -Errno.ENOENT;
        Assert.Equal(16, Dispatch(RequestBytes.Of(Opcode.Lookup, RequestBytes.Name("x"))));
        Assert.Equal(-Errno.ENOENT, Header().Error);
    }

    [Fact]
    public void Deferred_request_is_not_answered_now()
    {
        _system.Answer = FileSystem.Deferred;
        Assert.Equal(0, Dispatch(RequestBytes.Of(Opcode.StatFs)));
    }

    [Theory]
    [InlineData(-512)]
    [InlineData(8192)]
    public void Impossible_answer_is_a_bug(int answer)
    {
        _system.Answer = answer;
        Assert.Throws<InvalidOperationException>(() => Dispatch(RequestBytes.Of(Opcode.StatFs)));
    }

    [Fact]
    public void Created_file_is_answered_by_entry_and_handle()
    {
        Assert.Equal(16 + 128 + 16, Dispatch(RequestBytes.Of(Opcode.Create, RequestBytes.Struct(default(CreateIn)), RequestBytes.Name("c"))));
        Assert.Equal(99ul, MemoryMarshal.Read<EntryOut>(_reply.AsSpan(16)).NodeId);
        Assert.Equal(6ul, MemoryMarshal.Read<OpenOut>(_reply.AsSpan(16 + 128)).Handle);
        Assert.Equal(OpenReplyFlags.DirectIO, MemoryMarshal.Read<OpenOut>(_reply.AsSpan(16 + 128)).OpenFlags);
    }

    [Fact]
    public void Read_beyond_the_reply_buffer_is_cut_to_it()
    {
        Assert.Equal(_reply.Length, Dispatch(RequestBytes.Of(Opcode.Read, RequestBytes.Struct(new ReadIn { Size = uint.MaxValue }))));
    }

    [Fact]
    public void Forgetting_has_no_reply()
    {
        Assert.Equal(0, Dispatch(RequestBytes.Of(Opcode.Forget, RequestBytes.Struct(new ForgetIn { Lookups = 3 }))));
        Assert.Equal(0, Dispatch(RequestBytes.Of(Opcode.BatchForget, RequestBytes.Struct(new BatchForgetIn { Count = 2 }),
            RequestBytes.Struct(new ForgetOne { NodeId = 10, Lookups = 1 }), RequestBytes.Struct(new ForgetOne { NodeId = 11, Lookups = 2 }))));
        Assert.Equal(["Forget node=7 lookups=3", "Forget node=10 lookups=1", "Forget node=11 lookups=2"], _system.Calls);
    }

    [Fact]
    public void Batch_that_promises_more_than_it_holds_forgets_what_it_holds()
    {
        Assert.Equal(0, Dispatch(RequestBytes.Of(Opcode.BatchForget, RequestBytes.Struct(new BatchForgetIn { Count = uint.MaxValue }),
            RequestBytes.Struct(new ForgetOne { NodeId = 10, Lookups = 1 }), [1, 2, 3])));
        Assert.Equal(["Forget node=10 lookups=1"], _system.Calls);
    }

    [Fact]
    public void Interrupt_is_passed_on_and_never_answered()
    {
        Assert.Equal(0, Dispatch(RequestBytes.Of(Opcode.Interrupt, RequestBytes.Struct(new InterruptIn { Unique = 12 }))));
        Assert.Equal(["Interrupt unique=12"], _system.Calls);
        Assert.Equal(0, Dispatch(RequestBytes.Of(Opcode.Interrupt)));
    }

    [Fact]
    public void Destroy_is_answered()
    {
        Assert.Equal(16, Dispatch(RequestBytes.Of(Opcode.Destroy)));
        Assert.Equal(["Destroy"], _system.Calls);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(7u)]
    [InlineData(31u)]
    [InlineData(40u)]
    [InlineData(47u)]
    [InlineData(52u)]
    [InlineData(4096u)]
    [InlineData(uint.MaxValue)]
    public void Unknown_operation_is_ENOSYS(uint opcode)
    {
        Assert.Equal(16, Dispatch(RequestBytes.Of((Opcode)opcode, new byte[100])));
        Assert.Equal(-Errno.ENOSYS, Header().Error);
    }

    [Fact]
    public void Operation_not_overridden_is_ENOSYS()
    {
        foreach (var row in GoodRequests)
        {
            FuseDispatch.Dispatch(new Bare(), (byte[])row[0], _reply);
            Assert.Equal(-Errno.ENOSYS, Header().Error);
        }
    }

    [Theory]
    [MemberData(nameof(GoodRequests))]
    public void Request_cut_anywhere_is_EINVAL(byte[] request, string call)
    {
        _ = call;
        for (var length = Unsafe.SizeOf<InHeader>(); length < request.Length; length++)
        {
            Assert.Equal(16, Dispatch(RequestBytes.Resized(request, length)));
            Assert.Equal(-Errno.EINVAL, Header().Error);
        }
        Assert.Empty(_system.Calls);
    }

    [Theory]
    [MemberData(nameof(GoodRequests))]
    public void Request_whose_length_field_lies_is_EINVAL(byte[] request, string call)
    {
        _ = call;
        foreach (var lie in new[] { 0u, (uint)request.Length - 1, (uint)request.Length + 1, uint.MaxValue })
        {
            var bytes = request.ToArray();
            MemoryMarshal.Write(bytes, lie);
            Assert.Equal(16, Dispatch(bytes));
            Assert.Equal(-Errno.EINVAL, Header().Error);
        }
        Assert.Empty(_system.Calls);
    }

    [Fact]
    public void Request_shorter_than_its_header_cannot_be_answered()
    {
        for (var length = 0; length < Unsafe.SizeOf<InHeader>(); length++)
            Assert.Equal(0, Dispatch(RequestBytes.Resized(RequestBytes.Of(Opcode.StatFs), length)));
        Assert.Empty(_system.Calls);
    }

    [Theory]
    [InlineData(5u - 1)]
    [InlineData(5u + 1)]
    [InlineData(0u)]
    [InlineData(uint.MaxValue)]
    public void Write_whose_size_is_not_that_of_its_data_is_EINVAL(uint size)
    {
        Dispatch(RequestBytes.Of(Opcode.Write, RequestBytes.Struct(new WriteIn { Size = size }), "12345"u8.ToArray()));
        Assert.Equal(-Errno.EINVAL, Header().Error);
        Assert.Empty(_system.Calls);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("/")]
    [InlineData("a\0b")]
    public void Name_that_is_no_name_is_EINVAL(string name)
    {
        foreach (var request in WithName(name))
        {
            Assert.Equal(16, Dispatch(request));
            Assert.Equal(-Errno.EINVAL, Header().Error);
        }
        Assert.Empty(_system.Calls);
    }

    [Fact]
    public void Name_may_have_255_bytes_and_no_more()
    {
        foreach (var request in WithName(new string('n', 255)))
        {
            Dispatch(request);
            Assert.Equal(0, Header().Error);
        }
        var calls = _system.Calls.Count;
        foreach (var request in WithName(new string('n', 256)))
        {
            Dispatch(request);
            Assert.Equal(-Errno.ENAMETOOLONG, Header().Error);
        }
        Assert.Equal(calls, _system.Calls.Count);
    }

    [Fact]
    public void Link_target_may_have_4095_bytes_and_no_more()
    {
        Dispatch(RequestBytes.Of(Opcode.Symlink, RequestBytes.Name("l"), RequestBytes.Name(new string('t', 4095))));
        Assert.Equal(0, Header().Error);
        Dispatch(RequestBytes.Of(Opcode.Symlink, RequestBytes.Name("l"), RequestBytes.Name(new string('t', 4096))));
        Assert.Equal(-Errno.ENAMETOOLONG, Header().Error);
    }

    [Fact]
    public void Random_bytes_are_answered_and_never_throw()
    {
        var random = new Random(20240229);
        var answered = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = new byte[random.Next(0, 300)];
            random.NextBytes(bytes);
            // Mostly a right length and a known operation, so that the depth is reached.
            if (bytes.Length >= 8 && random.Next(10) > 0)
            {
                MemoryMarshal.Write(bytes, (uint)bytes.Length);
                MemoryMarshal.Write(bytes.AsSpan(4), (uint)random.Next(0, 60));
            }
            answered += Dispatch(bytes) > 0 ? 1 : 0;
        }
        Assert.True(answered > 10_000, $"only {answered} answered");
    }

    [Fact]
    public void Dispatching_a_write_allocates_nothing()
    {
        var system = new CountingFileSystem();
        var request = RequestBytes.Of(Opcode.Write, RequestBytes.Struct(new WriteIn { Size = 128 }), new byte[128]);
        for (var i = 0; i < 100; i++)
            FuseDispatch.Dispatch(system, request, _reply);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            FuseDispatch.Dispatch(system, request, _reply);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(1100 * 128, system.Bytes);
    }

    private static IEnumerable<byte[]> WithName(string name)
    {
        var good = RequestBytes.Name("good");
        var bytes = RequestBytes.Name(name);
        yield return RequestBytes.Of(Opcode.Lookup, bytes);
        yield return RequestBytes.Of(Opcode.Unlink, bytes);
        yield return RequestBytes.Of(Opcode.RmDir, bytes);
        yield return RequestBytes.Of(Opcode.MkNod, RequestBytes.Struct(default(MkNodIn)), bytes);
        yield return RequestBytes.Of(Opcode.MkDir, RequestBytes.Struct(default(MkDirIn)), bytes);
        yield return RequestBytes.Of(Opcode.Create, RequestBytes.Struct(default(CreateIn)), bytes);
        yield return RequestBytes.Of(Opcode.Link, RequestBytes.Struct(default(LinkIn)), bytes);
        yield return RequestBytes.Of(Opcode.Symlink, bytes, good);
        yield return RequestBytes.Of(Opcode.Rename2, RequestBytes.Struct(default(Rename2In)), good, bytes);
        yield return RequestBytes.Of(Opcode.Rename, RequestBytes.Struct(default(RenameIn)), bytes, good);
    }

    private int Dispatch(byte[] request)
    {
        _reply.AsSpan(0, 16).Fill(0xee);
        return FuseDispatch.Dispatch(_system, request, _reply);
    }

    private OutHeader Header() => MemoryMarshal.Read<OutHeader>(_reply);

    private sealed class Bare : FileSystem;
}
