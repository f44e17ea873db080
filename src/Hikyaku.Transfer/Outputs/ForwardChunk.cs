using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>A chunk as one Forward message, packed as its lines come.</summary>
internal sealed class ForwardChunk(ForwardOutput output) : Chunk
{
    private const int PackedBytes = 256 << 10;
    private const int EntriesMax = 16_384;
    private const int OverfullBytes = 8 << 20;
    private const int SpareBytes = 1 << 20;

    private readonly ChunkWriter _writer = new();
    private readonly Dictionary<LineSource, int> _common = [];
    private LineSource? _last;
    private bool _compact;
    private bool _mustBeginAnew;
    private ulong _lowest;

    /// <summary>Where it goes, and where it would go again.</summary>
    public Receiver Receiver { get; private set; } = null!;

    /// <summary>Whether <see cref="Message"/> is only for a server that takes zstd.</summary>
    public bool NeedsZstd { get; private set; }

    /// <summary>The whole message, once <see cref="Seal"/> was called.</summary>
    public ReadOnlyMemory<byte> Message { get; private set; }

    public override bool IsFull => _writer.Length >= PackedBytes || _writer.Count >= EntriesMax;

    public override bool IsOverfull => _writer.Length >= OverfullBytes;

    public void Begin(Receiver receiver, bool compact)
    {
        Reset();
        Receiver = receiver;
        _compact = compact;
        _mustBeginAnew = false;
        _common.Clear();
        _last = null;
        Message = default;
        _writer.Begin(output.Tag);
    }

    /// <summary>Makes the message.</summary>
    public void Seal(ulong lowest)
    {
        _lowest = lowest;
        Finish(output.CompressorFor(Receiver));
    }

    /// <summary>Makes it again, for a server of which nothing is known: the one that took zstd may be another by now.</summary>
    public void SealForAnyone()
    {
        if (NeedsZstd)
            Finish(null);
    }

    private void Finish(Compressor? compressor)
    {
        Span<byte> id = stackalloc byte[ChunkId.Length];
        ChunkId.Write(id, output.Origin, Number);
        NeedsZstd = compressor?.Kind == Compression.Zstd;
        Message = _writer.Finish(new ChunkOptions
        {
            Id = id, Origin = output.Origin, Route = output.Route, Number = Number, Done = _lowest, Compressor = compressor,
        });
    }

    // Packed for a server that takes the compact form, over a connection that is gone; whoever is there now may not take it.
    public override bool MustBeginAnew => _mustBeginAnew;

    /// <summary>False for one that grew by a huge line and should not be kept for reuse.</summary>
    public bool IsWorthKeeping => _writer.Length <= SpareBytes;

    public override bool TryWriteNote(ByteBuffer target)
    {
        // Begun while the line was not there yet: its server may be gone by now, or another one may answer in its place.
        if (!CanGoTo(Receiver))
        {
            var other = output.Choose();
            _mustBeginAnew = other is not null && !CanGoTo(other);
            if (other is null || _mustBeginAnew)
                return false;
            Receiver = other;
        }

        ForwardNote.Write(target, Receiver.NameBytes, _compact);
        return true;
    }

    private bool CanGoTo(Receiver receiver) => receiver.HasRoom && (!_compact || receiver.TakesCompact);

    protected override void Pack(in LineBlock lines)
    {
        if (!_compact)
        {
            PackFull(lines);
            return;
        }

        var common = -1;
        if (!ReferenceEquals(lines.Source, _last))
        {
            _last = lines.Source;
            if (!_common.TryGetValue(_last, out common))
                _common.Add(_last, common = _writer.AddCommon(Fields(_last)));
        }

        _writer.AddCompact(lines.Time, lines.Text, lines.Count, common);
    }

    private void PackFull(in LineBlock lines)
    {
        if (!ReferenceEquals(lines.Source, _last))
        {
            _last = lines.Source;
            _writer.SetFields(Fields(_last));
        }

        var text = lines.Text;
        for (var i = 1; i < lines.Count; i++)
            _writer.Add(lines.Time, LineBlock.TakeLine(ref text));
        _writer.Add(lines.Time, text);
    }

    private static EntryFields Fields(LineSource source) => new() { Host = source.Host, Path = source.Path, Pid = source.Pid, Uid = source.Uid };
}

/// <summary>What the journal keeps of a chunk: its server and its form, for a repetition must have both.</summary>
internal static class ForwardNote
{
    public static void Write(ByteBuffer target, ReadOnlySpan<byte> server, bool compact)
    {
        MessagePackWriter.WriteText(target, server);
        MessagePackWriter.WriteUnsigned(target, compact ? Ack.TakesBlocks : 0UL);
    }

    public static void Read(ReadOnlySpan<byte> note, out ReadOnlySpan<byte> server, out bool compact)
    {
        var reader = new MessagePackReader(note);
        server = reader.Read(out var name) == ReadResult.Success ? name.Payload : default;
        compact = reader.Read(out var form) == ReadResult.Success && form is { Kind: MessagePackKind.Unsigned, Number: Ack.TakesBlocks };
    }
}

/// <summary>The id under which a chunk is acknowledged: the log's first bytes and the number, in hex. The same at every try.</summary>
internal static class ChunkId
{
    public const int Length = 32;

    public static void Write(Span<byte> target, Guid origin, ulong number)
    {
        Span<byte> raw = stackalloc byte[16];
        origin.TryWriteBytes(raw);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(raw[8..], number);
        Convert.TryToHexStringLower(raw, target, out _);
    }

    public static bool TryRead(ReadOnlySpan<byte> id, out ulong number)
    {
        number = 0;
        return id.Length == Length && System.Buffers.Text.Utf8Parser.TryParse(id[16..], out number, out var used, 'x') && used == 16;
    }
}
