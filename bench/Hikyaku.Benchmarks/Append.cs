using BenchmarkDotNet.Attributes;

namespace Hikyaku.Benchmarks;

/// <summary>Appending one write to the mount's log.</summary>
public class Append : LineBenchmark
{
    private TemporaryLog _log = null!;
    private byte[] _line = [];

    [Params(10, 128, 1024, 4096)]
    public override int Bytes { get; set; } = 128;

    [GlobalSetup]
    public override void Setup()
    {
        _log = new TemporaryLog();
        _line = Line();
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        for (var i = 0; i < Lines; i++)
            _log.Write(_line);
    }

    [GlobalCleanup]
    public override void Dispose() => _log.Dispose();
}
