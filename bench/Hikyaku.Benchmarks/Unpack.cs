using BenchmarkDotNet.Attributes;
using Hikyaku.Forward;

namespace Hikyaku.Benchmarks;

/// <summary>A received message, compact form, into its entries.</summary>
public class Unpack : LineBenchmark
{
    private readonly ForwardMessage _message = new();
    private readonly EntryScratch _scratch = new();
    private byte[] _bytes = [];

    [GlobalSetup]
    public override void Setup() => _bytes = PackFull.Fill(new ChunkWriter(), Line(), compact: true).ToArray();

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        if (_message.Parse(_bytes) != MessageKind.PackedForward)
            throw new InvalidDataException("the message cannot be read");
        var entries = new EntryReader(_message.Entries.Span, _message.Common.Span, _scratch);
        var lines = 0;
        while (entries.TryRead(out _))
            lines++;
        if (lines != Lines)
            throw new InvalidDataException($"{lines} entries came out of {Lines}");
    }

    public override void Dispose()
    {
        // Holds memory only.
    }
}
