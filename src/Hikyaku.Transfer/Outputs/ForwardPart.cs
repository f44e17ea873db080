using Hikyaku.Forward;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>What one server gets of a chunk: a Forward message under the chunk's number, packed as its lines come.</summary>
internal sealed class ForwardPart(ForwardOutput output)
{
    private const int PackedBytes = 256 << 10;
    private const int EntriesMax = 16_384;
    private const int OverfullBytes = 8 << 20;
    private const int SpareBytes = 1 << 20;

    private readonly ChunkWriter _writer = new();
    private readonly Dictionary<LineSource, int> _common = [];
    private LineSource? _last;
    private ulong _lowest;

    public ForwardChunk Chunk { get; private set; } = null!;

    /// <summary>Where it goes, and where it would go again.</summary>
    public Receiver Receiver { get; private set; } = null!;

    /// <summary>Its share was found under this server's name and weight.</summary>
    public Receiver Home { get; private set; } = null!;

    public int Weight { get; private set; }

    public bool IsCompact { get; private set; }

    /// <summary>Its place among the parts of a chunk that was divided and which is not at <see cref="Home"/> any more; else -1.</summary>
    public int Seat { get; private set; }

    public ulong Number { get; private set; }
    public long Lines { get; private set; }
    public long Bytes { get; private set; }

    /// <summary>The server may have it, for it was sent, in this life or one before.</summary>
    public bool MayHaveArrived { get; set; }

    /// <summary>Acknowledged.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Whether <see cref="Message"/> is only for a server that takes zstd.</summary>
    public bool NeedsZstd { get; private set; }

    /// <summary>The whole message, once <see cref="Seal"/> was called.</summary>
    public ReadOnlyMemory<byte> Message { get; private set; }

    public int Length => _writer.Length;

    public bool IsFull => _writer.Length >= PackedBytes || _writer.Count >= EntriesMax;

    public bool IsOverfull => _writer.Length >= OverfullBytes;

    /// <summary>False for one that grew by a huge line and should not be kept for reuse.</summary>
    public bool IsWorthKeeping => _writer.Length <= SpareBytes;

    /// <summary>Whether it can leave now, in the form it has.</summary>
    public bool CanGo => Receiver.Standing == Standing.Ready && (!IsCompact || Receiver.TakesCompact);

    public void Begin(Receiver receiver, Receiver home, int weight, int seat, bool compact, bool mayHaveArrived)
    {
        Receiver = receiver;
        Home = home;
        Weight = weight;
        Seat = seat;
        IsCompact = compact;
        MayHaveArrived = mayHaveArrived;
        IsDone = false;
        Number = 0;
        Lines = Bytes = 0;
        _common.Clear();
        _last = null;
        Message = default;
        _writer.Begin(output.Tag);
    }

    public void Pack(in LineBlock lines)
    {
        Lines += lines.Count;
        Bytes += lines.Text.Length + 1 - lines.Count;
        if (!IsCompact)
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

    /// <summary>Makes the message, of that chunk.</summary>
    public void Seal(ForwardChunk chunk, ulong lowest)
    {
        Chunk = chunk;
        Number = chunk.Number;
        _lowest = lowest;
        Finish(output.CompressorFor(Receiver));
    }

    /// <summary>Makes it again, for a server of which nothing is known: the one that took zstd may be another by now.</summary>
    public void SealForAnyone()
    {
        if (NeedsZstd)
            Finish(null);
    }

    public void Acknowledge()
    {
        IsDone = true;
        Chunk.NotePartDone();
    }

    private void Finish(Compressor? compressor)
    {
        Span<byte> id = stackalloc byte[ChunkId.LengthMax];
        id = id[..ChunkId.Write(id, output.Origin, Number, Seat)];
        NeedsZstd = compressor?.Kind == Compression.Zstd;
        Message = _writer.Finish(new ChunkOptions
        {
            Id = id, Origin = output.Origin, Route = output.RouteOf(Seat), Number = Number, Done = _lowest, Compressor = compressor,
        });
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

    private static EntryFields Fields(LineSource source) => new() { Host = source.Host, Path = source.Path, Pid = source.Pid, Uid = source.Uid, IsMessage = source.IsMessage };
}
