using BenchmarkDotNet.Attributes;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Benchmarks;

/// <summary>Lines that were written past the log: note the extent, read it, read the backing file, find the source and the lines.</summary>
public class ReadExtent : LineBenchmark
{
    private readonly string _directory = Directory.CreateTempSubdirectory("hikyaku-bench-").FullName;
    private readonly Counted _chunk = new();
    private TemporaryLog _log = null!;
    private LineReader _reader = null!;

    [GlobalSetup]
    public override void Setup()
    {
        _log = new TemporaryLog();
        var text = new byte[Lines * Bytes];
        for (var i = 0; i < Lines; i++)
            Line().CopyTo(text, i * Bytes);
        File.WriteAllBytes(Path.Combine(_directory, BackingFile.LiveName(1)), text);
        _reader = new LineReader(_log.Storage, "web-1", new PathMatch(["*.log"]), null, static _ => { }) { Backing = new BackingFiles(Disk.OfThisMachine, _directory) };
        _reader.Seek(LogPosition.Start, []);
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        _log.Extend(1, 0, (ulong)(Lines * Bytes));
        _chunk.Begin();
        _reader.Fill(_chunk, null);
        if (_chunk.Lines != Lines)
            throw new InvalidDataException($"{_chunk.Lines} lines came out of {Lines}");
    }

    [GlobalCleanup]
    public override void Dispose()
    {
        _reader.Dispose();
        _log.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private sealed class Counted : Chunk
    {
        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public void Begin() => Reset();

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in LineBlock lines)
        {
        }
    }
}
