using System.Buffers.Binary;

namespace Hikyaku.Forward;

/// <summary>
/// Writes entries [EventTime, record]. The full form carries everything in each record. The compact form carries the line, or
/// several lines of one source and time, alone, and "common": k where the source changes to the k-th (from 0) of the chunk's common fields.
/// </summary>
public static class EntryWriter
{
    /// <summary>The most bytes that an entry takes beside its line, host and path.</summary>
    public const int OverheadMax = 80;

    /// <summary>The most bytes of an entry of several lines.</summary>
    public const int BlockBytesMax = 256 << 10;

    // Array of 2, EventTime of 10 bytes, map, key of up to 8, text header of up to 5.
    private const int HeadMax = 25;

    // "common", "message" and "lines" as texts of MessagePack.
    internal static ReadOnlySpan<byte> CommonKey => [0xa6, (byte)'c', (byte)'o', (byte)'m', (byte)'m', (byte)'o', (byte)'n'];
    internal static readonly ulong MessageKey = BinaryPrimitives.ReadUInt64LittleEndian([0xa7, .. "message"u8]);
    private static ReadOnlySpan<byte> LinesKey => [0xa5, (byte)'l', (byte)'i', (byte)'n', (byte)'e', (byte)'s'];

    /// <summary>Appends an entry in full form; fields that are unknown are left out.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="time">Nanoseconds since 1970.</param>
    /// <param name="line">The line without its newline; any bytes.</param>
    /// <param name="fields">Where it comes from, as <see cref="WriteFields"/> wrote it.</param>
    /// <param name="fieldCount">How many fields these are.</param>
    public static void Write(ByteBuffer to, long time, ReadOnlySpan<byte> line, ReadOnlySpan<byte> fields, int fieldCount)
    {
        // The bounds are checked once for all of the entry: there is one for each line.
        var span = to.GetSpan(checked(HeadMax + line.Length + fields.Length));
        var length = WriteMessageHead(span, time, 1 + fieldCount, line.Length);
        line.CopyTo(span[length..]);
        length += line.Length;
        fields.CopyTo(span[length..]);
        to.Advance(length + fields.Length);
    }

    /// <summary>
    /// Appends an entry in compact form: a line, or several lines with LF between them. <paramref name="common"/> is the index of its
    /// common fields, or -1 when they are those of the entry before.
    /// </summary>
    public static void WriteCompact(ByteBuffer to, long time, ReadOnlySpan<byte> text, bool isBlock, int common)
    {
        var span = to.GetSpan(checked(HeadMax + text.Length));
        var length = isBlock ? WriteBlockHead(span, time, common < 0 ? 1 : 2, text.Length) : WriteMessageHead(span, time, common < 0 ? 1 : 2, text.Length);
        text.CopyTo(span[length..]);
        to.Advance(length + text.Length);
        if (common < 0)
            return;
        to.Append(CommonKey);
        MessagePackWriter.WriteUnsigned(to, (ulong)common);
    }

    /// <summary>Appends one element of the array of common fields.</summary>
    public static void WriteCommon(ByteBuffer to, in EntryFields fields)
    {
        MessagePackWriter.WriteMapHeader(to, Count(fields));
        WriteFields(to, fields);
    }

    /// <summary>Appends the keys and values of the fields that are known; returns how many.</summary>
    public static int WriteFields(ByteBuffer to, in EntryFields fields)
    {
        if (!fields.Host.IsEmpty)
        {
            MessagePackWriter.WriteText(to, "host"u8);
            MessagePackWriter.WriteText(to, fields.Host);
        }
        if (!fields.Path.IsEmpty)
        {
            MessagePackWriter.WriteText(to, "path"u8);
            MessagePackWriter.WriteText(to, fields.Path);
        }
        if (fields.Pid is { } pid)
        {
            MessagePackWriter.WriteText(to, "pid"u8);
            MessagePackWriter.WriteUnsigned(to, pid);
        }
        if (fields.Uid is { } uid)
        {
            MessagePackWriter.WriteText(to, "uid"u8);
            MessagePackWriter.WriteUnsigned(to, uid);
        }
        if (fields.IsMessage)
        {
            MessagePackWriter.WriteText(to, "mode"u8);
            MessagePackWriter.WriteText(to, "message"u8);
        }
        return Count(fields);
    }

    private static int WriteMessageHead(Span<byte> span, long time, int keys, int length)
    {
        var head = span[..HeadMax];
        WriteHead(head, time, keys);
        BinaryPrimitives.WriteUInt64LittleEndian(head.Slice(12, 8), MessageKey);
        return 20 + MessagePackWriter.WriteTextHeader(head[20..], length);
    }

    private static int WriteBlockHead(Span<byte> span, long time, int keys, int length)
    {
        var head = span[..HeadMax];
        WriteHead(head, time, keys);
        LinesKey.CopyTo(head[12..]);
        return 18 + MessagePackWriter.WriteBinaryHeader(head[18..], length);
    }

    // [EventTime, {: 12 bytes.
    private static void WriteHead(Span<byte> head, long time, int keys)
    {
        head[0] = 0x92;
        MessagePackWriter.WriteEventTime(head.Slice(1, 10), time);
        head[11] = (byte)(0x80 | keys);
    }

    private static int Count(in EntryFields fields) =>
        (fields.Host.IsEmpty ? 0 : 1) + (fields.Path.IsEmpty ? 0 : 1) + (fields.Pid is null ? 0 : 1) + (fields.Uid is null ? 0 : 1) + (fields.IsMessage ? 1 : 0);
}
