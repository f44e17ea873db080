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
    private readonly Keeper _keeper;
    private readonly string _at;
    private readonly int _kernel;
    private readonly byte[] _reply = new byte[16 * 1024];

    public WritePathTests()
        : this(new LogOptions())
    {
    }

    private WritePathTests(LogOptions log)
    {
        _at = Directory.CreateDirectory(Path.Combine(_root, "at")).FullName;
        var ends = stackalloc int[2];
        Assert.Equal(0, socketpair(1, 5 | 0x80000, 0, ends));
        var device = FuseDevice.FromDescriptor(ends[0]);
        _kernel = ends[1];
        var storage = new FileLogStorage(Path.Combine(_root, "log"));
        _log = LogWriter.Open(storage, log);
        _state = MountState.Create(Path.Combine(_root, "state"), 1, 1, 1);
        var options = new MountOptions
        {
            Name = "test", DeviceFd = ends[0], Negotiation = "", DirectoryFd = open(_at, 0x200000 | 0x80000, 0), StateDirectory = _root, LogDirectory = _root, Log = new LogOptions(),
        };
        var nodes = new NodeTable(_state);
        Assert.Equal(0, Underneath.StatTop(options.DirectoryFd, out var top));
        Assert.True(nodes.PlantRoot(top));
        var underneath = new Underneath(options.DirectoryFd, nodes);
        _keeper = new Keeper(storage, _state, Keep.All, options.Counters, static _ => { });
        var committer = new Committer(device, _log, _state, TimeSpan.Zero, static () => { }, static _ => { });
        _tree = new MountedDirectory(device, _log, _state, underneath, new HandleTable(_state, nodes), _keeper, committer, null, storage, options);
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
    public void A_segment_made_for_one_large_write_knows_its_source()
    {
        // Too large for a segment: the next one is made for it alone, and has no room for a restated source besides.
        using var mount = new WritePathTests(new LogOptions { SegmentBytes = 64 << 10 });
        var handle = mount.Create("a.log"u8);
        Assert.Equal(0, mount.Dispatch(Write(handle, "x"u8)));
        Assert.Equal(0, mount.Dispatch(Write(handle, new byte[102_224])));
        var stated = new HashSet<(ulong, ulong)>();
        var writes = 0;
        using var reader = new LogReader(new FileLogStorage(Path.Combine(mount._root, "log")), 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Source && SourceRecord.TryParse(record.Body, out var source))
                stated.Add((reader.SegmentStart, source.Id == 0 ? record.Sequence : source.Id));
            if (record.Kind != RecordKind.Write || !WriteRecord.TryParse(record.Body, out var write))
                continue;
            writes++;
            Assert.Contains((reader.SegmentStart, write.Source), stated);
        }

        Assert.Equal(2, writes);
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
    public void A_write_far_out_asks_how_far_the_file_reaches_once_and_not_each_time()
    {
        const ulong far = 3ul << 30;
        var handle = Create("a.log"u8, flags: 0x41);
        Assert.Equal(0, Dispatch(Write(handle, "x"u8, 0, flags: 1)));
        Assert.Equal(0, PositionUnderneath("a.log"));
        Assert.Equal(0, Dispatch(Write(handle, "x"u8, far, flags: 1)));
        // Asking moves the descriptor's position; nothing else does.
        var asked = PositionUnderneath("a.log");
        Assert.True(asked > (long)far);
        for (var i = 1ul; i < 100; i++)
            Assert.Equal(0, Dispatch(Write(handle, "x"u8, far + (i << 20), flags: 1)));
        Assert.Equal(asked, PositionUnderneath("a.log"));
        Assert.Equal(0, Dispatch(Write(handle, "x"u8, (ulong)asked, flags: 1)));
        Assert.True(PositionUnderneath("a.log") > asked);
    }

    [Fact]
    public void A_write_that_ends_where_no_file_can_is_refused()
    {
        var handle = Create("a.log"u8, flags: 0x41);
        // The longest file of the file system underneath, found by halving.
        using var file = File.OpenHandle(Path.Combine(_at, "a.log"), FileMode.Open, FileAccess.ReadWrite);
        var (longest, tooLong) = (0ul, 1ul << 63);
        while (tooLong - longest > 1)
        {
            var middle = longest + ((tooLong - longest) / 2);
            var error = lseek((int)file.DangerousGetHandle(), (long)middle, 0) < 0;
            (longest, tooLong) = error ? (longest, middle) : (middle, tooLong);
        }
        Assert.True(longest > int.MaxValue);
        Assert.Equal(0, Dispatch(Write(handle, "x"u8, longest - 1, flags: 1)));
        Assert.Equal(-Errno.EFBIG, Dispatch(Write(handle, "xy"u8, longest - 1, flags: 1)));
        Assert.Equal(-Errno.EFBIG, Dispatch(Write(handle, "x"u8, ulong.MaxValue - 1, flags: 1)));
        Assert.Equal(0, Dispatch(Write(handle, "x"u8, longest - 1, flags: 1)));
    }

    // A mount of an ordinary user: the kernel has found out that the program may write the file, which is all that touch(1) needs.
    [MountTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_file_of_somebody_else_that_may_be_written_may_be_touched(bool hasUnkeptContent)
    {
        var path = Path.Combine(_at, "theirs");
        File.WriteAllText(path, "");
        File.SetUnixFileMode(path, (UnixFileMode)0x1B6);
        var old = DateTime.UnixEpoch.AddDays(1);
        File.SetLastWriteTimeUtc(path, old);
        _ = setfsuid(65534);
        try
        {
            // Its thread is the same user.
            _keeper.Start();
            Assert.Equal(0, Dispatch(Request(Opcode.Lookup, KernelEnd.Name("theirs"))));
            var node = MemoryMarshal.Read<EntryOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>())).NodeId;
            if (hasUnkeptContent)
            {
                Assert.Equal(0, Dispatch(Request(Opcode.Open, KernelEnd.Bytes(new OpenIn { Flags = 0x401 }), node)));
                var handle = MemoryMarshal.Read<OpenOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>())).Handle;
                Assert.Equal(0, Dispatch(Write(handle, "x"u8)));
            }
            const SetAttrValid named = SetAttrValid.ATime | SetAttrValid.MTime;
            Assert.Equal(-Errno.EPERM, SetTimes(node, new SetAttrIn { Valid = named, ATime = 5, MTime = 5 }));
            Assert.Equal(0, SetTimes(node, new SetAttrIn { Valid = named | SetAttrValid.ATimeNow | SetAttrValid.MTimeNow }));
        }
        finally
        {
            _ = setfsuid(0);
            _keeper.Stop();
        }
        Assert.NotEqual(old, File.GetLastWriteTimeUtc(path));
    }

    [Fact]
    public void Directories_that_were_removed_can_still_be_read_by_those_in_them()
    {
        var removed = new List<ulong>();
        for (var i = 0; i < 100; i++)
        {
            var at = 1ul;
            Assert.Equal(0, MakeDirectory($"gone{i}", ref at));
            removed.Add(at);
            Assert.Equal(0, Dispatch(Request(Opcode.RmDir, KernelEnd.Name($"gone{i}"))));
        }
        // More than are remembered.
        for (var i = 0; i < 300; i++)
        {
            var aside = 1ul;
            Assert.Equal(0, MakeDirectory($"aside{i}", ref aside));
            Assert.Equal(0, MakeDirectory("d", ref aside));
        }
        foreach (var directory in removed)
        {
            Assert.Equal(0, Dispatch(Request(Opcode.GetAttr, KernelEnd.Bytes(default(GetAttrIn)), directory)));
            Assert.Equal(0, Dispatch(Request(Opcode.OpenDir, KernelEnd.Bytes(default(OpenIn)), directory)));
        }
    }

    [Fact]
    public void Many_removed_directories_do_not_push_out_those_in_use()
    {
        var removed = 0ul;
        for (var i = 0; i < 600; i++)
        {
            removed = 1;
            Assert.Equal(0, MakeDirectory("gone", ref removed));
            Assert.Equal(0, Dispatch(Request(Opcode.RmDir, KernelEnd.Name("gone"))));
        }
        Assert.Equal(0, Dispatch(Request(Opcode.OpenDir, KernelEnd.Bytes(default(OpenIn)), removed)));
        var (from, to) = (1ul, 1ul);
        Assert.Equal(0, MakeDirectory("from", ref from));
        Assert.Equal(0, MakeDirectory("to", ref to));
        var inner = from;
        Assert.Equal(0, MakeDirectory("d", ref inner));
        Assert.Equal(0, Dispatch(Request(Opcode.Rename2, [.. KernelEnd.Bytes(new Rename2In { NewParent = to }), .. KernelEnd.Name("d"), .. KernelEnd.Name("e")], from)));
        Assert.True(Directory.Exists(Path.Combine(_at, "to", "e")));
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

    private int SetTimes(ulong node, in SetAttrIn args)
    {
        const int untouched = int.MaxValue;
        MemoryMarshal.Write(_reply, new OutHeader { Error = untouched });
        var error = Dispatch(Request(Opcode.SetAttr, KernelEnd.Bytes(args), node));
        if (error != untouched)
            return error;
        // The keeper answers.
        fixed (byte* reply = _reply)
            Assert.True(read(_kernel, reply, (nuint)_reply.Length) > 0);
        return MemoryMarshal.Read<OutHeader>(_reply).Error;
    }

    private long PositionUnderneath(string name)
    {
        var descriptor = Directory.GetFiles("/proc/self/fd").Single(fd => new FileInfo(fd).LinkTarget == Path.Combine(_at, name));
        var line = File.ReadLines($"/proc/self/fdinfo/{Path.GetFileName(descriptor)}").Single(static line => line.StartsWith("pos:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(4));
    }

    private ulong Create(ReadOnlySpan<byte> name, uint flags = 0x441)
    {
        Assert.Equal(0, Dispatch(Request(Opcode.Create, [.. KernelEnd.Bytes(new CreateIn { Flags = flags, Mode = 0x81A4 }), .. name, 0])));
        return MemoryMarshal.Read<OpenOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>() + Unsafe.SizeOf<EntryOut>())).Handle;
    }

    private int MakeDirectory(string name, ref ulong parent)
    {
        var error = Dispatch(Request(Opcode.MkDir, [.. KernelEnd.Bytes(new MkDirIn { Mode = 0x1ED }), .. KernelEnd.Name(name)], parent));
        if (error == 0)
            parent = MemoryMarshal.Read<EntryOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>())).NodeId;
        return error;
    }

    private static byte[] Write(ulong handle, ReadOnlySpan<byte> data, ulong offset = 0, uint flags = 0x441) =>
        Request(Opcode.Write, [.. KernelEnd.Bytes(new WriteIn { Handle = handle, Offset = offset, Size = (uint)data.Length, Flags = flags }), .. data]);

    private static byte[] Request(Opcode opcode, byte[] body, ulong node = 1) =>
        [.. KernelEnd.Bytes(new InHeader { Length = (uint)(40 + body.Length), Opcode = opcode, Unique = 2 + (ulong)opcode, NodeId = node }), .. body];

    private int Dispatch(byte[] request)
    {
        FuseDispatch.Dispatch(_tree, request, _reply);
        return MemoryMarshal.Read<OutHeader>(_reply).Error;
    }

    [LibraryImport("libc")]
    private static partial int socketpair(int domain, int type, int protocol, int* ends);

    [LibraryImport("libc")]
    private static partial nint read(int fd, byte* buffer, nuint count);

    [LibraryImport("libc")]
    private static partial long lseek(int fd, long offset, int whence);

    // Of the calling thread only.
    [LibraryImport("libc")]
    private static partial int setfsuid(uint user);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);
}
