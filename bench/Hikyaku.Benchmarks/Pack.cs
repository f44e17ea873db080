using BenchmarkDotNet.Attributes;
using Hikyaku.Forward;

namespace Hikyaku.Benchmarks;

/// <summary>Lines into one chunk, each with everything that any receiver of the Forward protocol wants to know.</summary>
public class PackFull : LineBenchmark
{
    private readonly ChunkWriter _chunk = new();
    private byte[] _line = [];

    [GlobalSetup]
    public override void Setup() => _line = Line();

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run() => Fill(_chunk, _line, compact: false);

    public override void Dispose()
    {
        // Holds memory only.
    }

    internal static ReadOnlyMemory<byte> Fill(ChunkWriter chunk, ReadOnlySpan<byte> line, bool compact)
    {
        var fields = new EntryFields { Host = "web-1.example.com"u8, Path = "access.log"u8, Pid = 4321, Uid = 1000 };
        chunk.Begin("hikyaku.apache"u8);
        chunk.SetFields(fields);
        var common = compact ? chunk.AddCommon(fields) : 0;
        for (var i = 0; i < Lines; i++)
        {
            if (compact)
                chunk.AddCompact(1_700_000_000_000_000_000 + i, line, 1, i == 0 ? common : -1);
            else
                chunk.Add(1_700_000_000_000_000_000 + i, line);
        }

        return chunk.Finish(new ChunkOptions { Id = "00112233445566778899aabbccddeeff"u8, Origin = Guid.Empty, Route = "files"u8, Number = 1, Done = 1 });
    }
}

/// <summary>Lines into one chunk for another Hikyaku node: what they share is said once.</summary>
public class PackCompact : LineBenchmark
{
    private readonly ChunkWriter _chunk = new();
    private byte[] _line = [];

    [GlobalSetup]
    public override void Setup() => _line = Line();

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run() => PackFull.Fill(_chunk, _line, compact: true);

    public override void Dispose()
    {
        // Holds memory only.
    }
}
