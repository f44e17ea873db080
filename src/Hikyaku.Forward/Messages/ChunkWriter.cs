using System.Buffers.Binary;

namespace Hikyaku.Forward;

/// <summary>What a chunk tells its receiver beside tag and entries.</summary>
public readonly ref struct ChunkOptions
{
    /// <summary>The chunk's id as text; the same at every try. Empty = no ack is asked for.</summary>
    public ReadOnlySpan<byte> Id { get; init; }

    /// <summary>The identity of the log the entries come from; null = say nothing that only Hikyaku understands.</summary>
    public Guid? Origin { get; init; }

    /// <summary>The route's name.</summary>
    public ReadOnlySpan<byte> Route { get; init; }

    /// <summary>The chunk's number within origin and route, from 1.</summary>
    public ulong Number { get; init; }

    /// <summary>Every number below this one has been acknowledged.</summary>
    public ulong Done { get; init; }

    /// <summary>Null = the entries travel as they are.</summary>
    public Compressor? Compressor { get; init; }
}

/// <summary>
/// Builds one PackedForward message in one buffer that is used again for the next: <see cref="Begin"/>, any of the Add
/// methods, <see cref="Finish"/>, which may be called again with other options. The same calls give the same bytes.
/// </summary>
/// <param name="bytesMax">The limit of a message in bytes; a caller that watches <see cref="Length"/> never meets it.</param>
public sealed class ChunkWriter(int bytesMax = ForwardMessage.BytesMaxDefault)
{
    private readonly ByteBuffer message = new(bytesMax);
    private readonly ByteBuffer common = new(bytesMax);
    private readonly ByteBuffer fields = new();
    private int fieldCount;
    private readonly ByteBuffer packed = new(bytesMax);
    private int entriesStart;
    private int entriesEnd;

    /// <summary>Entries added since <see cref="Begin"/>.</summary>
    public int Count { get; private set; }

    /// <summary>Common fields added since <see cref="Begin"/>.</summary>
    public int CommonCount { get; private set; }

    /// <summary>Bytes of the message so far, without the options (their fixed part is below 256 bytes beside id and route).</summary>
    public int Length => message.Length + common.Length;

    /// <summary>The packed entries so far.</summary>
    public ReadOnlySpan<byte> Entries => message.Written[entriesStart..];

    /// <summary>Begins a new message; what the last one left is gone.</summary>
    public void Begin(ReadOnlySpan<byte> tag)
    {
        message.Clear();
        common.Clear();
        fields.Clear();
        packed.Clear();
        entriesEnd = 0;
        Count = CommonCount = fieldCount = 0;
        MessagePackWriter.WriteArrayHeader(message, 3);
        MessagePackWriter.WriteText(message, tag);
        // bin with 32 bits of length, which Finish knows.
        message.Append([0xc6, 0, 0, 0, 0]);
        entriesStart = message.Length;
    }

    /// <summary>Says where the lines come from that <see cref="Add"/> adds.</summary>
    public void SetFields(in EntryFields values)
    {
        fields.Clear();
        fieldCount = EntryWriter.WriteFields(fields, values);
    }

    /// <summary>Adds a line in full form, which every receiver understands, with the fields set last. Time in nanoseconds since 1970.</summary>
    public void Add(long time, ReadOnlySpan<byte> line)
    {
        EntryWriter.Write(message, time, line, fields.Written, fieldCount);
        Count++;
    }

    /// <summary>Adds fields that several lines share; returns their index for <see cref="AddCompact"/>.</summary>
    public int AddCommon(in EntryFields fields)
    {
        EntryWriter.WriteCommon(common, fields);
        return CommonCount++;
    }

    /// <summary>
    /// Adds a line, or <paramref name="count"/> lines with LF between them, in compact form, for Hikyaku receivers.
    /// <paramref name="commonIndex"/>: where the source differs from that of the entry before; else -1.
    /// </summary>
    public void AddCompact(long time, ReadOnlySpan<byte> text, int count, int commonIndex)
    {
        EntryWriter.WriteCompact(message, time, text, count > 1, commonIndex);
        Count++;
    }

    /// <summary>Adds entries as they were received. Not to be mixed with compact lines: they would take over each other's sources.</summary>
    public void AddPacked(ReadOnlySpan<byte> entries, int count)
    {
        message.Append(entries);
        Count += count;
    }

    /// <summary>Completes the message. The bytes are valid until the next <see cref="Begin"/>.</summary>
    public ReadOnlyMemory<byte> Finish(in ChunkOptions options)
    {
        if (entriesEnd == 0)
            entriesEnd = message.Length;
        message.Truncate(entriesEnd);
        if (options.Compressor is { } compressor)
        {
            packed.Clear();
            packed.Append(message.Written[..entriesStart]);
            compressor.Pack(message.Written[entriesStart..], packed);
            if (packed.Length < message.Length)
                return Finish(packed, options, compressor.Name);
        }
        return Finish(message, options, default);
    }

    private ReadOnlyMemory<byte> Finish(ByteBuffer message, in ChunkOptions options, ReadOnlySpan<byte> compression)
    {
        BinaryPrimitives.WriteInt32BigEndian(message.At(entriesStart - 4, 4), message.Length - entriesStart);
        var keys = 1 + (options.Id.IsEmpty ? 0 : 1) + (compression.IsEmpty ? 0 : 1) + (options.Origin is null ? 0 : 4 + (CommonCount > 0 ? 1 : 0));
        MessagePackWriter.WriteMapHeader(message, keys);
        MessagePackWriter.WriteText(message, "size"u8);
        MessagePackWriter.WriteUnsigned(message, (ulong)Count);
        if (!compression.IsEmpty)
        {
            MessagePackWriter.WriteText(message, "compressed"u8);
            MessagePackWriter.WriteText(message, compression);
        }
        if (!options.Id.IsEmpty)
        {
            MessagePackWriter.WriteText(message, "chunk"u8);
            MessagePackWriter.WriteText(message, options.Id);
        }
        if (options.Origin is { } origin)
        {
            Span<byte> identity = stackalloc byte[16];
            origin.TryWriteBytes(identity);
            MessagePackWriter.WriteText(message, "origin"u8);
            MessagePackWriter.WriteBinary(message, identity);
            MessagePackWriter.WriteText(message, "route"u8);
            MessagePackWriter.WriteText(message, options.Route);
            MessagePackWriter.WriteText(message, "number"u8);
            MessagePackWriter.WriteUnsigned(message, options.Number);
            MessagePackWriter.WriteText(message, "done"u8);
            MessagePackWriter.WriteUnsigned(message, options.Done);
            if (CommonCount > 0)
            {
                MessagePackWriter.WriteText(message, "common"u8);
                MessagePackWriter.WriteArrayHeader(message, CommonCount);
                message.Append(common.Written);
            }
        }
        return message.WrittenMemory;
    }
}
