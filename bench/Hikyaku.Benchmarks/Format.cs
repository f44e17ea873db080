using BenchmarkDotNet.Attributes;
using Hikyaku.Forward;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;

namespace Hikyaku.Benchmarks;

/// <summary>Lines as they stand in the collector's file.</summary>
public class Format : LineBenchmark
{
    internal const string Layout = "%H:%F(%P):%f[%T] %L", Time = "%F %T(%s %-)";

    private readonly ByteBuffer _text = new();
    private readonly LineFormat _format = new(Layout, Time, TimeZoneInfo.Utc);
    private readonly LineSource _source = new([.. "web-1.example.com"u8], [.. "apache/access.log"u8], 4321, 1000);
    private byte[] _line = [];

    [GlobalSetup]
    public override void Setup() => _line = Line();

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        _text.Clear();
        var text = _line.AsSpan(..^1);
        for (var i = 0; i < Lines; i++)
            _format.Write(_text, new LineBlock(_source, 1_700_000_000_000_000_000 + i, text));
    }

    public override void Dispose()
    {
        // Holds memory only.
    }
}
