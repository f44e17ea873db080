using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>The way from the bytes of a request to the record, without a kernel and without threads.</summary>
public sealed unsafe partial class WritePathTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-write-").FullName;
    private readonly LogWriter _log;
    private readonly MountState _state;
    private readonly MountedDirectory _tree;
    private readonly byte[] _reply = new byte[16 * 1024];

    public WritePathTests()
    {
        var at = Directory.CreateDirectory(Path.Combine(_root, "at")).FullName;
        var ends = stackalloc int[2];
        Assert.Equal(0, socketpair(1, 5 | 0x80000, 0, ends));
        var device = FuseDevice.FromDescriptor(ends[0]);
        var storage = new FileLogStorage(Path.Combine(_root, "log"));
        _log = LogWriter.Open(storage, new LogOptions());
        _state = MountState.Create(Path.Combine(_root, "state"), 1, 1, 1);
        var options = new MountOptions
        {
            Name = "test", DeviceFd = ends[0], Negotiation = "", DirectoryFd = open(at, 0x200000 | 0x80000, 0), StateDirectory = _root, LogDirectory = _root, Log = new LogOptions(),
        };
        var nodes = new NodeTable(_state);
        Assert.Equal(0, Underneath.StatTop(options.DirectoryFd, out var top));
        Assert.True(nodes.PlantRoot(top));
        var underneath = new Underneath(options.DirectoryFd, nodes);
        var keeper = new Keeper(storage, _state, Keep.All, options.Counters, static _ => { });
        var committer = new Committer(device, _log, _state, TimeSpan.Zero, static () => { }, static _ => { });
        _tree = new MountedDirectory(device, _log, _state, underneath, new HandleTable(_state, nodes), keeper, committer, null, options);
    }

    [Fact]
    public void A_write_allocates_nothing()
    {
        var handle = Create("a.log"u8);
        var request = Write(handle, "a line of a log\n"u8);
        for (var i = 0; i < 2000; i++)
            Dispatch(request);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 2000; i++)
            Dispatch(request);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        // One for the source.
        Assert.Equal(4002ul, _log.NextSequence);
    }

    [Fact]
    public void Appending_ignores_the_offset_the_kernel_believes_in()
    {
        var request = Write(Create("a.log"u8), "12345"u8);
        Dispatch(request);
        Dispatch(request);
        using var reader = new LogReader(new FileLogStorage(Path.Combine(_root, "log")), 0);
        var offsets = new List<ulong>();
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                offsets.Add(write.Offset);
        }
        Assert.Equal([0ul, 5ul], offsets);
    }

    [Fact]
    public void A_handle_that_was_released_is_no_handle()
    {
        var handle = Create("a.log"u8);
        Dispatch(Request(Opcode.Release, KernelEnd.Bytes(new ReleaseIn { Handle = handle })));
        Assert.Equal(-Errno.EBADF, Dispatch(Write(handle, "x"u8)));
        Assert.Equal(-Errno.EBADF, Dispatch(Write(ulong.MaxValue, "x"u8)));
        Assert.NotEqual(handle, Create("b.log"u8));
    }

    [Fact]
    public void A_path_longer_than_a_path_may_be_is_refused()
    {
        var parent = 1ul;
        var name = new string('d', 200);
        int error;
        var depth = 0;
        while ((error = Dispatch(Request(Opcode.MkDir, [.. KernelEnd.Bytes(new MkDirIn { Mode = 0x1ED }), .. KernelEnd.Name(name)], parent))) == 0 && depth++ < 21)
            parent = MemoryMarshal.Read<EntryOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>())).NodeId;
        // Deep directories can be made, one step at a time, but a source of more than 4095 bytes has no name in the log.
        Assert.Equal(0, error);
        Assert.Equal(-Errno.ENAMETOOLONG, Dispatch(Request(Opcode.Create, [.. KernelEnd.Bytes(new CreateIn { Flags = 0x41, Mode = 0x81A4 }), .. KernelEnd.Name("x")], parent)));
    }

    [Fact]
    public void Deep_directories_work_up_to_a_limit()
    {
        const int limit = 2048;
        var parent = 1ul;
        for (var depth = 0; depth < limit; depth++)
            Assert.Equal(0, MakeDirectory("d", ref parent));
        var deepest = parent;
        Assert.Equal(0, MakeDirectory("d", ref parent));
        // More directories than are remembered: what lies deep is found all the same.
        for (var i = 0; i < 300; i++)
        {
            var aside = 1ul;
            Assert.Equal(0, MakeDirectory($"aside{i}", ref aside));
            Assert.Equal(0, MakeDirectory("d", ref aside));
        }
        Assert.Equal(-Errno.ENAMETOOLONG, Dispatch(Request(Opcode.Lookup, KernelEnd.Name("d"), parent)));
        Assert.Equal(0, Dispatch(Request(Opcode.Lookup, KernelEnd.Name("d"), deepest)));
    }

    public void Dispose()
    {
        _log.Dispose();
        _state.Dispose();
        // Paths may be longer than the framework can remove.
        System.Diagnostics.Process.Start("rm", ["-rf", _root]).WaitForExit();
    }

    private ulong Create(ReadOnlySpan<byte> name)
    {
        Assert.Equal(0, Dispatch(Request(Opcode.Create, [.. KernelEnd.Bytes(new CreateIn { Flags = 0x441, Mode = 0x81A4 }), .. name, 0])));
        return MemoryMarshal.Read<OpenOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>() + Unsafe.SizeOf<EntryOut>())).Handle;
    }

    private int MakeDirectory(string name, ref ulong parent)
    {
        var error = Dispatch(Request(Opcode.MkDir, [.. KernelEnd.Bytes(new MkDirIn { Mode = 0x1ED }), .. KernelEnd.Name(name)], parent));
        if (error == 0)
            parent = MemoryMarshal.Read<EntryOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>())).NodeId;
        return error;
    }

    private static byte[] Write(ulong handle, ReadOnlySpan<byte> data) =>
        Request(Opcode.Write, [.. KernelEnd.Bytes(new WriteIn { Handle = handle, Size = (uint)data.Length, Flags = 0x441 }), .. data]);

    private static byte[] Request(Opcode opcode, byte[] body, ulong node = 1) =>
        [.. KernelEnd.Bytes(new InHeader { Length = (uint)(40 + body.Length), Opcode = opcode, Unique = 2 + (ulong)opcode, NodeId = node }), .. body];

    private int Dispatch(byte[] request)
    {
        FuseDispatch.Dispatch(_tree, request, _reply);
        return MemoryMarshal.Read<OutHeader>(_reply).Error;
    }

    [LibraryImport("libc")]
    private static partial int socketpair(int domain, int type, int protocol, int* ends);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);
}
