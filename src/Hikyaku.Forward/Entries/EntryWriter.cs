namespace Hikyaku.Forward;

/// <summary>
/// Writes entries [EventTime, record]. The full form carries everything in each record. The compact form carries the line
/// alone, and "common": k where the source changes to the k-th (from 0) of the chunk's common fields.
/// </summary>
public static class EntryWriter
{
    /// <summary>The most bytes that an entry takes beside its line, host and path.</summary>
    public const int OverheadMax = 80;

    /// <summary>Appends an entry in full form; fields that are unknown are left out.</summary>
    /// <param name="to">Where to.</param>
    /// <param name="time">Nanoseconds since 1970.</param>
    /// <param name="line">The line without its newline; any bytes.</param>
    /// <param name="fields">Where it comes from.</param>
    public static void Write(ByteBuffer to, long time, ReadOnlySpan<byte> line, in EntryFields fields)
    {
        MessagePackWriter.WriteArrayHeader(to, 2);
        MessagePackWriter.WriteEventTime(to, time);
        MessagePackWriter.WriteMapHeader(to, 1 + Count(fields));
        MessagePackWriter.WriteText(to, "message"u8);
        MessagePackWriter.WriteText(to, line);
        WriteFields(to, fields);
    }

    /// <summary>Appends an entry in compact form. <paramref name="common"/> is the index of its common fields, or -1 when they are those of the entry before.</summary>
    public static void WriteCompact(ByteBuffer to, long time, ReadOnlySpan<byte> line, int common)
    {
        MessagePackWriter.WriteArrayHeader(to, 2);
        MessagePackWriter.WriteEventTime(to, time);
        MessagePackWriter.WriteMapHeader(to, common < 0 ? 1 : 2);
        MessagePackWriter.WriteText(to, "message"u8);
        MessagePackWriter.WriteText(to, line);
        if (common < 0)
            return;
        MessagePackWriter.WriteText(to, "common"u8);
        MessagePackWriter.WriteUnsigned(to, (ulong)common);
    }

    /// <summary>Appends one element of the array of common fields.</summary>
    public static void WriteCommon(ByteBuffer to, in EntryFields fields)
    {
        MessagePackWriter.WriteMapHeader(to, Count(fields));
        WriteFields(to, fields);
    }

    private static int Count(in EntryFields fields) =>
        (fields.Host.IsEmpty ? 0 : 1) + (fields.Path.IsEmpty ? 0 : 1) + (fields.Pid is null ? 0 : 1) + (fields.Uid is null ? 0 : 1);

    private static void WriteFields(ByteBuffer to, in EntryFields fields)
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
    }
}
