using System.Runtime.InteropServices;
using Hikyaku.Log;

namespace Hikyaku.Transfer.Intake;

/// <summary>
/// Which messages with a chunk id of senders that number nothing are stored, and how far: their fingerprints, the oldest
/// forgotten first. Kept in memory, and stated in each segment of the log.
/// </summary>
/// <param name="messagesMax">Messages remembered.</param>
internal sealed class ForeignTable(int messagesMax)
{
    /// <summary>Messages remembered with a segment of 32 MiB; what is stated of them is then a thirty-second of it.</summary>
    public const int MessagesMax = 65_536;

    private const int IdBytes = 16;

    // In a chunk record: these entries end the message. The other bits say where in the message they begin.
    private const ulong LastPart = 1UL << 63;

    // In a statement: all of the message.
    private const ulong Whole = ulong.MaxValue;

    private sealed class Message(Guid id)
    {
        public Guid Id { get; } = id;
        public ulong Stored { get; set; }
        public ulong AckedOn { get; set; }
    }

    private readonly Dictionary<Guid, LinkedListNode<Message>> _messages = [];
    private readonly LinkedList<Message> _order = new();

    /// <summary>How many a log with segments of that many bytes remembers.</summary>
    public static int MessagesFor(long segmentBytes) => (int)Math.Clamp(segmentBytes / 512, 128, MessagesMax);

    /// <summary>What a chunk record says of its place in the message.</summary>
    public static ulong Part(int start, bool isLast) => (uint)start | (isLast ? LastPart : 0);

    public bool IsWhole(Guid id) => Stored(id) == Whole;

    /// <summary>
    /// Whether the message has been acknowledged over that connection. Nobody repeats over a connection what he got an ack for
    /// over it, so it is another one with the same content.
    /// </summary>
    public bool IsAckedOn(Guid id, ulong connection) => _messages.TryGetValue(id, out var node) && node.Value.AckedOn == connection;

    /// <summary>Bytes of the entries that are stored, at most <paramref name="length"/>.</summary>
    public int StoredOf(Guid id, int length) => (int)Math.Min(Stored(id), (ulong)length);

    public void Acked(Guid id, ulong connection)
    {
        if (_messages.TryGetValue(id, out var node))
            node.Value.AckedOn = connection;
    }

    public void Forget(Guid id)
    {
        if (_messages.Remove(id, out var node))
            _order.Remove(node);
    }

    /// <summary>A part of the message is stored. A part that does not follow what is stored is not counted: the sender's repetition fills the gap.</summary>
    public void Add(Guid id, ulong part, int length)
    {
        var start = part & ~LastPart;
        if (start == 0)
            Set(id, 0);
        if (_messages.TryGetValue(id, out var node) && node.Value.Stored == start)
            node.Value.Stored = (part & LastPart) != 0 ? Whole : start + (ulong)length;
    }

    /// <summary>Takes up what a record of the log says.</summary>
    public void Recall(in LogRecord record)
    {
        if (record.Kind == RecordKind.Chunk && ChunkRecord.TryParse(record.Body, out var chunk))
        {
            if (chunk.Number == 0 && chunk.Origin != Guid.Empty)
                Add(chunk.Origin, chunk.Done, chunk.EntriesBytes.Length);
        }
        else if (record.Kind == RecordKind.Peers && PeersRecord.TryParse(record.Body, out var peers) && peers.Origin == Guid.Empty)
        {
            var ids = MemoryMarshal.AsBytes(peers.Received);
            for (; ids.Length >= IdBytes; ids = ids[IdBytes..])
                Set(new Guid(ids[..IdBytes], bigEndian: true), peers.Done);
        }
    }

    /// <summary>States everything. False: there was no room.</summary>
    public bool TryState(LogWriter log)
    {
        var whole = _order.Where(static m => m.Stored == Whole).ToArray();
        if (whole.Length > 0 && !TryState(log, Whole, whole))
            return false;
        foreach (var message in _order)
        {
            if (message.Stored != Whole && !TryState(log, message.Stored, [message]))
                return false;
        }

        return true;
    }

    private static bool TryState(LogWriter log, ulong stored, ReadOnlySpan<Message> messages)
    {
        var ids = new ulong[messages.Length * IdBytes / sizeof(ulong)];
        for (var i = 0; i < messages.Length; i++)
            messages[i].Id.TryWriteBytes(MemoryMarshal.AsBytes(ids.AsSpan())[(i * IdBytes)..], bigEndian: true, out _);
        var head = new byte[PeersRecord.HeadBytes(0, ids.Length)];
        PeersRecord.WriteHead(head, Guid.Empty, [], stored, ids);
        return log.TryAppend(RecordKind.Peers, head, [], out _);
    }

    private ulong Stored(Guid id) => _messages.TryGetValue(id, out var node) ? node.Value.Stored : 0;

    private void Set(Guid id, ulong stored)
    {
        Forget(id);
        if (_order.Count >= messagesMax)
            Forget(_order.First!.Value.Id);
        _messages[id] = _order.AddLast(new Message(id) { Stored = stored });
    }
}
