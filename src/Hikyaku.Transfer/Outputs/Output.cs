using Hikyaku.Transfer.Delivery;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Where chunks go. One pump calls it, from one thread at a time. Chunks are begun, delivered and freed in the order of
/// their numbers; they may become done in any order.
/// </summary>
internal abstract class Output : IAsyncDisposable
{
    /// <summary>Called from any thread when a chunk became done, or room appeared for another.</summary>
    public Action Changed { get; set; } = static () => { };

    /// <summary>
    /// Begins a chunk, or returns null while there is no room for one. A <paramref name="note"/> that is not empty is what
    /// the journal kept of an earlier attempt: the chunk must go to the same place, and always finds room.
    /// </summary>
    public abstract Chunk? TryBegin(ReadOnlySpan<byte> note);

    /// <summary>Starts to deliver. <paramref name="lowest"/> is the lowest number that is not acknowledged yet.</summary>
    public abstract void Deliver(Chunk chunk, ulong lowest);

    /// <summary>Every chunk that the journal held has been begun again; from now on all are new.</summary>
    public virtual void EndRepeating()
    {
    }

    /// <summary>Takes a chunk back that is done, or was begun and never delivered.</summary>
    public abstract void Free(Chunk chunk);

    public abstract IReadOnlyList<ReceiverStatus> Status();

    public abstract ValueTask DisposeAsync();
}
