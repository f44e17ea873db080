using BenchmarkDotNet.Attributes;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Benchmarks;

/// <summary>Lines out of writes: every second one comes whole, the others in two halves.</summary>
public class AssembleLines : LineBenchmark
{
    private LineAssembler _assembler = null!;
    private byte[] _line = [];

    [GlobalSetup]
    public override void Setup()
    {
        _assembler = new LineAssembler();
        _line = Line();
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        var half = Bytes / 2;
        var lines = 0;
        for (var i = 0; i < Lines; i += 2)
            lines += Take(_line) + Take(_line.AsSpan(0, half)) + Take(_line.AsSpan(half));
        if (lines != Lines)
            throw new InvalidDataException($"{lines} lines came out of {Lines}");
    }

    public override void Dispose()
    {
        // Holds memory only.
    }

    private int Take(ReadOnlySpan<byte> data)
    {
        var count = 0;
        while (_assembler.TryNext(ref data, out _))
            count++;
        return count;
    }
}
