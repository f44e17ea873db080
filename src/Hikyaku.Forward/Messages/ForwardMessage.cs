namespace Hikyaku.Forward;

/// <summary>What the bytes at the front of a receive buffer are.</summary>
public enum MessageKind
{
    /// <summary>The beginning of a value; at least <see cref="ForwardMessage.Needed"/> bytes are wanted.</summary>
    NotEnough,

    /// <summary>Nothing this side can take, see <see cref="ForwardMessage.Reason"/>: the connection is to be closed without an ack.</summary>
    Malformed,

    /// <summary>A value that is neither an array nor nil; it has no meaning.</summary>
    Ignored,

    /// <summary>nil.</summary>
    Heartbeat,

    /// <summary>[tag, time, record, option?].</summary>
    Message,

    /// <summary>[tag, [[time, record], ...], option?].</summary>
    Forward,

    /// <summary>[tag, packed entries, option?].</summary>
    PackedForward,

    /// <summary>[tag, packed entries as gzip or zstd, option].</summary>
    CompressedPackedForward,
}

/// <summary>
/// One message of the Forward protocol, parsed out of a receive buffer. Made once per connection and used again for every
/// message: all memory it shows belongs to the receive buffer or to itself, and is valid until the next <see cref="Parse"/>.
/// </summary>
/// <param name="messageBytesMax">The longest message taken, in bytes.</param>
/// <param name="entriesBytesMax">The most bytes of entries after decompression.</param>
public sealed class ForwardMessage(int messageBytesMax = ForwardMessage.BytesMaxDefault, int entriesBytesMax = ForwardMessage.BytesMaxDefault)
{
    /// <summary>64 MiB for the entries, and one more for what is around them.</summary>
    public const int BytesMaxDefault = 65 * 1024 * 1024;

    private const int BytesKept = 64 * 1024;

    private readonly ByteBuffer own = new(entriesBytesMax + Gzip.EndLength);
    private ValueScan scan = new();

    /// <summary>The outcome of the latest <see cref="Parse"/>.</summary>
    public MessageKind Kind { get; private set; }

    /// <summary>How many bytes the value takes.</summary>
    public int Consumed { get; private set; }

    /// <summary>After NotEnough: how many bytes the whole value takes at least.</summary>
    public int Needed { get; private set; }

    /// <summary>After Malformed: why, for people.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>The tag; any bytes.</summary>
    public ReadOnlyMemory<byte> Tag { get; private set; }

    /// <summary>The chunk id as the raw MessagePack value it came as, to be echoed bit for bit; empty = no ack is asked for.</summary>
    public ReadOnlyMemory<byte> Chunk { get; private set; }

    /// <summary>The entries in packed form, whatever form they came in. They are not checked: <see cref="EntryReader"/> does that.</summary>
    public ReadOnlyMemory<byte> Entries { get; private set; }

    /// <summary>Whether the sender is a Hikyaku node; only then the properties below mean anything.</summary>
    public bool HasOrigin { get; private set; }

    /// <summary>The identity of the log the entries come from.</summary>
    public Guid Origin { get; private set; }

    /// <summary>The sender's route.</summary>
    public ReadOnlyMemory<byte> Route { get; private set; }

    /// <summary>The chunk's number within origin and route, from 1; 0 = none.</summary>
    public ulong Number { get; private set; }

    /// <summary>The sender has an ack for every number below this one.</summary>
    public ulong Done { get; private set; }

    /// <summary>The raw MessagePack array of common fields, or empty.</summary>
    public ReadOnlyMemory<byte> Common { get; private set; }

    /// <summary>Bytes of memory that belong to the message itself, beside the receive buffer: what was unpacked.</summary>
    public int BytesHeld => own.Capacity;

    /// <summary>
    /// Parses the value that <paramref name="bytes"/> begin with. After NotEnough call again with the same bytes and more
    /// behind them: what was looked at is not looked at again.
    /// </summary>
    public MessageKind Parse(ReadOnlyMemory<byte> bytes)
    {
        Consumed = 0;
        Kind = ParseValue(bytes);
        if (Kind != MessageKind.NotEnough)
            scan = new ValueScan();
        return Kind;
    }

    private MessageKind ParseValue(ReadOnlyMemory<byte> bytes)
    {
        var result = scan.Continue(bytes.Span, out var needed);
        if (result == ReadResult.Malformed)
            return Malformed("a byte that MessagePack does not know (c1)");
        if (needed > messageBytesMax)
            return Malformed($"a message of at least {needed} bytes; the limit is {messageBytesMax}");
        Needed = (int)needed;
        if (result == ReadResult.Insufficient)
            return MessageKind.NotEnough;

        Consumed = scan.Length;
        Tag = Chunk = Entries = Route = Common = default;
        HasOrigin = false;
        Origin = default;
        Number = Done = 0;
        own.Clear(BytesKept);
        return ParseArray(bytes[..Consumed]);
    }

    /// <summary>Gives back the memory of a large message that was unpacked. What the message shows is not valid any more, except its chunk id.</summary>
    public void Release()
    {
        own.Clear(BytesKept);
        Entries = default;
    }

    // From here on the value is known to be whole, so only its shape can be wrong.
    private MessageKind ParseArray(ReadOnlyMemory<byte> bytes)
    {
        var reader = new MessagePackReader(bytes.Span);
        reader.Read(out var token);
        if (token.Kind == MessagePackKind.Nil)
            return MessageKind.Heartbeat;
        if (token.Kind != MessagePackKind.Array)
            return MessageKind.Ignored;
        var count = token.Number;
        if (count < 2)
            return Malformed($"an array of {count} where [tag, entries, ...] is expected");

        if (!TryReadBytes(ref reader, bytes, out var tag))
            return Malformed("a tag that is not a string");
        Tag = tag;
        if (count == 6 && tag.Span.SequenceEqual("PING"u8))
            return Malformed("a PING: the peer is configured for a shared key, this side is not");

        var start = reader.Position;
        reader.Read(out token);
        var kind = token.Kind switch
        {
            MessagePackKind.Text or MessagePackKind.Binary => MessageKind.PackedForward,
            MessagePackKind.Array => MessageKind.Forward,
            _ => MessageKind.Message,
        };
        if (kind == MessageKind.PackedForward)
        {
            Entries = bytes.Slice(reader.Position - token.Payload.Length, token.Payload.Length);
            count -= 2;
        }
        else if (kind == MessageKind.Forward)
        {
            // The elements of the array, laid end to end, are packed entries.
            var first = reader.Position;
            reader.Position = start;
            reader.Skip();
            Entries = bytes[first..reader.Position];
            count -= 2;
        }
        else
        {
            if (count < 3)
                return Malformed("a [tag, time] without a record");
            reader.Position = start;
            reader.Skip();
            reader.Skip();
            var entry = bytes[start..reader.Position];
            if (entry.Length >= entriesBytesMax)
                return Malformed($"a record over the limit of {entriesBytesMax} bytes");
            MessagePackWriter.WriteArrayHeader(own, 2);
            own.Append(entry.Span);
            Entries = own.WrittenMemory;
            count -= 3;
        }
        if (count == 0)
            return kind;
        return ReadOptions(ref reader, bytes, out var compressed) is { } problem ? Malformed(problem)
            : kind == MessageKind.PackedForward ? Unpack(compressed.Span)
            : kind;
    }

    private string? ReadOptions(ref MessagePackReader reader, ReadOnlyMemory<byte> bytes, out ReadOnlyMemory<byte> compressed)
    {
        compressed = default;
        var origin = default(ReadOnlyMemory<byte>);
        string? problem = null;
        reader.Read(out var map);
        if (map.Kind == MessagePackKind.Nil)
            return null;
        if (map.Kind != MessagePackKind.Map)
            return "an option that is not a map";
        for (var count = map.Number; count > 0; count--)
        {
            var keyStart = reader.Position;
            reader.Read(out var key);
            if (!key.IsBytes)
            {
                reader.Position = keyStart;
                reader.Skip();
                reader.Skip();
                continue;
            }
            var start = reader.Position;
            reader.Skip();
            var raw = bytes[start..reader.Position];
            var value = new MessagePackReader(raw.Span);
            value.Read(out var token);
            var content = token.IsBytes ? raw[^token.Payload.Length..] : default;
            var name = key.Payload;
            if (name.SequenceEqual("chunk"u8))
                Chunk = token.Kind == MessagePackKind.Nil || (token.Kind == MessagePackKind.Boolean && token.Number == 0) ? default : raw;
            else if (name.SequenceEqual("compressed"u8) && token.Kind != MessagePackKind.Nil)
                compressed = token.IsBytes ? content : raw;
            else if (name.SequenceEqual("origin"u8) && content.Length == 16)
                origin = content;
            else if (name.SequenceEqual("route"u8))
                problem = TakeOption(token.IsBytes, "route", problem, Route = content);
            else if (name.SequenceEqual("number"u8))
                problem = TakeOption(token.Kind == MessagePackKind.Unsigned, "number", problem, Number = token.Number);
            else if (name.SequenceEqual("done"u8))
                problem = TakeOption(token.Kind == MessagePackKind.Unsigned, "done", problem, Done = token.Number);
            else if (name.SequenceEqual("common"u8))
                problem = TakeOption(token.Kind == MessagePackKind.Array, "common", problem, Common = raw);
        }

        HasOrigin = origin.Length == 16;
        if (HasOrigin)
        {
            Origin = new Guid(origin.Span);
            return problem;
        }
        // Without an origin the other keys are somebody else's and mean something else.
        Route = Common = default;
        Number = Done = 0;
        return null;
    }

    private static string? TakeOption<T>(bool good, string name, string? problem, T _) => good ? problem : $"an option {name} of the wrong type";

    private MessageKind Unpack(ReadOnlySpan<byte> compressed)
    {
        if (compressed.IsEmpty || compressed.SequenceEqual("text"u8))
            return MessageKind.PackedForward;
        var isZstd = compressed.SequenceEqual("zstd"u8);
        if (isZstd && !Zstd.IsAvailable)
            return Malformed("zstd data, and this machine has no libzstd.so.1 (package libzstd1)");
        if (!isZstd && !compressed.SequenceEqual("gzip"u8))
            return Malformed($"unknown compression {Printable.Text(compressed)}");
        if ((isZstd ? Zstd.Unpack(Entries.Span, own, entriesBytesMax) : Gzip.Unpack(Entries.Span, own, entriesBytesMax)) is { } problem)
            return Malformed(problem);
        Entries = own.WrittenMemory;
        return MessageKind.CompressedPackedForward;
    }

    private static bool TryReadBytes(ref MessagePackReader reader, ReadOnlyMemory<byte> bytes, out ReadOnlyMemory<byte> content)
    {
        reader.Read(out var token);
        content = token.IsBytes ? bytes.Slice(reader.Position - token.Payload.Length, token.Payload.Length) : default;
        return token.IsBytes;
    }

    private MessageKind Malformed(string reason)
    {
        Reason = reason;
        return MessageKind.Malformed;
    }
}
