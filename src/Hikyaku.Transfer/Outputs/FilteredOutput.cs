using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Plugins;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Any output, behind a filter of the user's: a chunk gathers lines, the filter is asked about them, and what it answers becomes the chunk of
/// the output. That is journaled and delivered as without a filter; a repetition asks again.
/// </summary>
internal sealed class FilteredOutput : Output
{
    private readonly Output _output;
    private readonly Filter _filter;
    private readonly Stack<FilteredChunk> _spare = new();
    private readonly List<FilteredChunk> _delivered = [];
    private FilteredChunk? _repeated; // with the filter, and to be delivered when that has answered
    private ulong _lowest;
    private long _dropped;

    public FilteredOutput(Output output, FilterSettings settings, string name, Action<string> report)
    {
        _output = output;
        output.Changed = () => Changed();
        Framing = settings.Framing;
        _filter = new Filter(settings, name, () => Changed(), report);
    }

    public Framing Framing { get; }

    public override long DroppedByFilter => Volatile.Read(ref _dropped);

    public override long Doubtful => _output.Doubtful;

    public override Chunk? TryBegin(ReadOnlySpan<byte> note)
    {
        DeliverRepeated();
        if (_repeated is not null || _output.TryBegin(note) is not { } inner)
            return null;
        var chunk = _spare.TryPop(out var spare) ? spare : new FilteredChunk(this);
        chunk.Begin(inner);
        return chunk;
    }

    public override void Deliver(Chunk chunk, ulong lowest)
    {
        _repeated = (FilteredChunk)chunk;
        _lowest = lowest;
        DeliverRepeated();
    }

    public override void EndRepeating() => _output.EndRepeating();

    public override void Tend()
    {
        DeliverRepeated();
        _output.Tend();
    }

    public override Chunk? TryMove(ByteBuffer note) =>
        _repeated is null && _output.TryMove(note) is { } inner ? _delivered.Find(c => c.Inner == inner) : null;

    public override void Move(Chunk chunk, Chunk again, ulong lowest)
    {
        var (from, to) = ((FilteredChunk)chunk, (FilteredChunk)again);
        to.PackFrom(from);
        _output.Move(from.Inner, to.Inner, lowest);
    }

    public override void Free(Chunk chunk)
    {
        var filtered = (FilteredChunk)chunk;
        if (_repeated == filtered)
            _repeated = null;
        _delivered.Remove(filtered);
        _output.Free(filtered.Inner);
        _spare.Push(filtered);
    }

    public override IReadOnlyList<ReceiverStatus> Status() => [.. _output.Status(), _filter.Status()];

    public override ServersStatus? Servers() => _output.Servers();

    public override async ValueTask DisposeAsync()
    {
        await _filter.StopAsync();
        _filter.Dispose();
        await _output.DisposeAsync();
    }

    public void Ask(FilterRequest request) => _filter.Ask(request);

    public void Dropped(long lines) => Volatile.Write(ref _dropped, _dropped + lines);

    private void DeliverRepeated()
    {
        if (_repeated is not { } chunk || !chunk.TryPack())
            return;
        _repeated = null;
        (chunk.Inner.Number, chunk.Inner.From, chunk.Inner.To) = (chunk.Number, chunk.From, chunk.To);
        if (chunk.Inner.Lines == 0)
        {
            // Nothing is left of it.
            chunk.Done = true;
            Changed();
            return;
        }

        _delivered.Add(chunk);
        _output.Deliver(chunk.Inner, _lowest);
    }
}
