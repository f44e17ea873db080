using BenchmarkDotNet.Attributes;
using Hikyaku.Forward;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;

namespace Hikyaku.Benchmarks;

/// <summary>Lines of writes of 64 KiB: found, and packed into one chunk for another Hikyaku node.</summary>
public class PackBlock : LineBenchmark
{
    private readonly ChunkWriter _chunk = new();
    private readonly LineAssembler _assembler = new();
    private byte[] _block = [];

    [GlobalSetup]
    public override void Setup() => _block = Block();

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run() => Fill(_chunk, _assembler, _block, Bytes);

    public override void Dispose()
    {
        // Holds memory only.
    }

    internal static ReadOnlyMemory<byte> Fill(ChunkWriter chunk, LineAssembler assembler, ReadOnlySpan<byte> block, int bytes)
    {
        chunk.Begin("hikyaku.apache"u8);
        var common = chunk.AddCommon(new EntryFields { Host = "web-1.example.com"u8, Path = "access.log"u8, Pid = 4321, Uid = 1000 });
        for (var left = Lines; left > 0;)
        {
            var data = block[..Math.Min(left * bytes, block.Length)];
            while (assembler.TryNext(ref data, long.MaxValue, out var text, out var count))
            {
                chunk.AddCompact(1_700_000_000_000_000_000, text, count, left == Lines ? common : -1);
                left -= count;
            }
        }

        return chunk.Finish(new ChunkOptions { Id = "00112233445566778899aabbccddeeff"u8, Origin = Guid.Empty, Route = "files"u8, Number = 1, Done = 1 });
    }
}

/// <summary>A received message of blocks into its blocks, their lines counted.</summary>
public class UnpackBlock : LineBenchmark
{
    private readonly ForwardMessage _message = new();
    private readonly EntryScratch _scratch = new();
    private byte[] _bytes = [];

    [GlobalSetup]
    public override void Setup() => _bytes = PackBlock.Fill(new ChunkWriter(), new LineAssembler(), Block(), Bytes).ToArray();

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        if (_message.Parse(_bytes) != MessageKind.PackedForward)
            throw new InvalidDataException("the message cannot be read");
        var entries = new EntryReader(_message.Entries.Span, _message.Common.Span, _scratch);
        var lines = 0;
        while (entries.TryRead(out var entry))
            lines += 1 + entry.Message.Count((byte)'\n');
        if (lines != Lines)
            throw new InvalidDataException($"{lines} lines came out of {Lines}");
    }

    public override void Dispose()
    {
        // Holds memory only.
    }
}

/// <summary>The lines of a block as they stand in the collector's file, with host, path and time before each.</summary>
public class FormatBlock : LineBenchmark
{
    private readonly ByteBuffer _text = new();
    private readonly LineFormat _format = new(Format.Layout, Format.Time, TimeZoneInfo.Utc);
    private readonly LineSource _source = new([.. "web-1.example.com"u8], [.. "apache/access.log"u8], 4321, 1000);
    private byte[] _block = [];

    [GlobalSetup]
    public override void Setup() => _block = Block();

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        _text.Clear();
        for (var left = Lines; left > 0;)
        {
            var count = Math.Min(left, _block.Length / Bytes);
            _format.Write(_text, new LineBlock(_source, 1_700_000_000_000_000_000, _block.AsSpan(0, (count * Bytes) - 1), count));
            left -= count;
        }
    }

    public override void Dispose()
    {
        // Holds memory only.
    }
}
