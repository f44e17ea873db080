using BenchmarkDotNet.Attributes;
using Hikyaku.Log;

namespace Hikyaku.Benchmarks;

/// <summary>Reading the writes of a log one after the other, checksums included.</summary>
public class ReadBack : LineBenchmark
{
    private const int Runs = 32;

    private TemporaryLog _log = null!;
    private LogReader? _reader;
    private int _runs;

    [Params(10, 128, 1024)]
    public override int Bytes { get; set; } = 128;

    [GlobalSetup]
    public override void Setup()
    {
        _log = new TemporaryLog();
        var line = Line();
        for (var i = 0; i < Runs * Lines; i++)
            _log.Write(line);
        Rewind();
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        if (_runs == Runs)
            Rewind();
        _runs++;
        for (var i = 0; i < Lines; i++)
        {
            if (!_reader!.TryRead(out var record) || !WriteRecord.TryParse(record.Body, out var write) || write.Data.Length != Bytes)
                throw new InvalidDataException("the log does not hold what was appended");
        }
    }

    [GlobalCleanup]
    public override void Dispose()
    {
        _reader?.Dispose();
        _log.Dispose();
    }

    private void Rewind()
    {
        _reader?.Dispose();
        _reader = new LogReader(_log.Storage, 0);
        _reader.TryRead(out _); // the source
        _runs = 0;
    }
}
