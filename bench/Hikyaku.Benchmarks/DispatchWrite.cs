using System.Runtime.CompilerServices;
using BenchmarkDotNet.Attributes;
using Hikyaku.Fuse;

namespace Hikyaku.Benchmarks;

/// <summary>From the bytes of a WRITE request to the bytes of its reply, with a file system that takes everything.</summary>
public class DispatchWrite : LineBenchmark
{
    private readonly Sink _sink = new();
    private readonly byte[] _reply = new byte[8192];
    private byte[] _request = [];

    [GlobalSetup]
    public override void Setup() => _request = RequestBytes.Write(handle: 1, Line());

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        for (var i = 0; i < Lines; i++)
        {
            if (FuseDispatch.Dispatch(_sink, _request, _reply) != Unsafe.SizeOf<OutHeader>() + Unsafe.SizeOf<WriteOut>())
                throw new InvalidDataException("the write was refused");
        }
    }

    public override void Dispose()
    {
        // Holds memory only.
    }

    private sealed class Sink : FileSystem
    {
        public override int Write(in FuseRequest request, in WriteIn args, ReadOnlySpan<byte> data, FuseReply reply) => reply.Written(args.Size);
    }
}
