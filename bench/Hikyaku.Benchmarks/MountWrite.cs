using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Libc = Hikyaku.Mount.Libc;

namespace Hikyaku.Benchmarks;

/// <summary>What the mount does for one write(2), without the kernel: from the request's bytes over the record in the log to the reply's bytes.</summary>
public class MountWrite : LineBenchmark
{
    private const int OpenPath = 0x210000; // O_PATH | O_DIRECTORY

    private readonly byte[] _reply = new byte[8192];
    private byte[] _request = [];
    private string _directory = "";
    private int _top;
    private FuseDevice _device = null!;
    private LogWriter _log = null!;
    private MountState _state = null!;
    private Underneath _underneath = null!;
    private Keeper _keeper = null!;
    private MountedDirectory _mount = null!;

    [Params(10, 128, 1024, 4096)]
    public override int Bytes { get; set; } = 128;

    [GlobalSetup]
    public override void Setup()
    {
        _directory = Directory.CreateTempSubdirectory("hikyaku-bench-").FullName;
        var storage = new FileLogStorage(Path.Combine(_directory, "log"));
        // Every answer is given by the call itself, so nothing is ever written to this device.
        _device = FuseDevice.FromDescriptor(Libc.Open("/dev/null", 0, 0));
        _top = Libc.Open(Directory.CreateDirectory(Path.Combine(_directory, "underneath")).FullName, OpenPath, 0);
        var options = new MountOptions
        {
            Name = "bench",
            DeviceFd = _device.Descriptor,
            Negotiation = "",
            DirectoryFd = _top,
            StateDirectory = _directory,
            LogDirectory = storage.Location,
            Log = new LogOptions { QuotaBytes = 256 << 20, SegmentBytes = 64 << 20, Cursors = [] },
            Keep = Keep.None,
            Fresh = true,
        };
        _log = LogWriter.Open(storage, options.Log);
        _state = MountState.Create(Path.Combine(_directory, "state"), 1, 1, _log.NextSequence);
        var nodes = new NodeTable(_state);
        if (Underneath.StatTop(_top, out var top) < 0 || !nodes.PlantRoot(top))
            throw new IOException($"{_directory}: cannot be used");
        _underneath = new Underneath(_top, nodes);
        _keeper = new Keeper(storage, _state, options.Keep, options.Counters, static _ => { });
        var committer = new Committer(_device, _log, _state, TimeSpan.Zero, static () => { }, static _ => { });
        _mount = new MountedDirectory(_device, _log, _state, _underneath, new HandleTable(_state, nodes), _keeper, committer, null, storage, options);
        FuseDispatch.Dispatch(_mount, RequestBytes.Create("access.log"u8), _reply);
        if (MemoryMarshal.Read<OutHeader>(_reply).Error != 0)
            throw new IOException($"{_directory}: no file can be made");
        var opened = MemoryMarshal.Read<OpenOut>(_reply.AsSpan(Unsafe.SizeOf<OutHeader>() + Unsafe.SizeOf<EntryOut>()));
        _request = RequestBytes.Write(opened.Handle, Line());
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        for (var i = 0; i < Lines; i++)
        {
            if (FuseDispatch.Dispatch(_mount, _request, _reply) != Unsafe.SizeOf<OutHeader>() + Unsafe.SizeOf<WriteOut>())
                throw new InvalidDataException("the write was refused");
        }
    }

    [GlobalCleanup]
    public override void Dispose()
    {
        _keeper.Dispose();
        _underneath.Dispose();
        _log.Dispose();
        _state.Dispose();
        _device.Dispose();
        _ = Libc.Close(_top);
        Directory.Delete(_directory, recursive: true);
    }
}
