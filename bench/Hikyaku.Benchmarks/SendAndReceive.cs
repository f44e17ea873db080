using BenchmarkDotNet.Attributes;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Benchmarks;

/// <summary>The sending side without its socket: append, read, find the source, assemble, pack into a chunk.</summary>
public class Send : LineBenchmark
{
    private readonly Packed _chunk = new();
    private TemporaryLog _log = null!;
    private LineReader _reader = null!;
    private byte[] _line = [];

    [GlobalSetup]
    public override void Setup()
    {
        _log = new TemporaryLog();
        _reader = new LineReader(_log.Storage, "web-1", new PathMatch(["*.log"]), null, static _ => { });
        _reader.Seek(LogPosition.Start, []);
        _line = Line();
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        for (var i = 0; i < Lines; i++)
            _log.Write(_line);
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
    }

    private sealed class Packed : Chunk
    {
        private readonly ChunkWriter _writer = new();

        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public void Begin()
        {
            Reset();
            _writer.Begin("hikyaku.apache"u8);
        }

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in LineBlock lines) => _writer.AddCompact(lines.Time, lines.Text, lines.Count, -1);
    }
}

/// <summary>The receiving side without its socket and its file: append the chunk, read, unpack, find the source, format.</summary>
public class Receive : LineBenchmark
{
    private readonly Formatted _chunk = new();
    private readonly ForwardMessage _message = new();
    private byte[] _bytes = [];
    private TemporaryLog _log = null!;
    private LineReader _reader = null!;
    private ulong _number;

    [GlobalSetup]
    public override void Setup()
    {
        _bytes = PackFull.Fill(new ChunkWriter(), Line().AsSpan(..^1), compact: true).ToArray();
        _log = new TemporaryLog();
        _reader = new LineReader(_log.Storage, "collector", new PathMatch([]), null, static _ => { });
        _reader.Seek(LogPosition.Start, []);
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        if (_message.Parse(_bytes) != MessageKind.PackedForward)
            throw new InvalidDataException("the message cannot be read");
        _log.Receive(++_number, _message.Common.Span, _message.Entries.Span);
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
    }

    private sealed class Formatted : Chunk
    {
        private readonly ByteBuffer _text = new();
        private readonly LineFormat _format = new(Format.Layout, Format.Time, TimeZoneInfo.Utc);

        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public void Begin()
        {
            Reset();
            _text.Clear();
        }

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in LineBlock lines) => _format.Write(_text, lines);
    }
}
