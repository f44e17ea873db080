using Hikyaku.Forward;
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

    /// <summary>Looks after what time brings. Called now and then, at least once a second while chunks are in flight.</summary>
    public virtual void Tend()
    {
    }

    /// <summary>
    /// Finds a chunk of which something is to go to another place than it was delivered to, and writes the note that it has from then
    /// on. The same lines are then begun again with that note, it is journaled, and <see cref="Move"/> is called.
    /// </summary>
    public virtual Chunk? TryMove(ByteBuffer note) => null;

    /// <summary>Starts to deliver what goes elsewhere. <paramref name="again"/> is the caller's to free.</summary>
    public virtual void Move(Chunk chunk, Chunk again, ulong lowest)
    {
    }

    /// <summary>Takes a chunk back that is done, or was begun and never delivered.</summary>
    public abstract void Free(Chunk chunk);

    public abstract IReadOnlyList<ReceiverStatus> Status();

    /// <summary>How the places are chosen; null where there is no choice.</summary>
    public virtual ServersStatus? Servers() => null;

    /// <summary>Lines that may have arrived twice, because they were delivered to two places.</summary>
    public virtual long Doubtful => 0;

    /// <summary>Lines that a filter did not want.</summary>
    public virtual long DroppedByFilter => 0;

    public abstract ValueTask DisposeAsync();
}
