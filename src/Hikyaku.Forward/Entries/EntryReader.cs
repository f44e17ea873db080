using System.Buffers.Binary;

namespace Hikyaku.Forward;

/// <summary>
/// Reads the packed entries of a chunk, ours and those of foreign senders. Allocates nothing per entry. A broken entry is
/// counted and passed over; where the bytes no longer tell where the next one begins, the rest counts as one broken entry.
/// </summary>
/// <remarks>
/// The line is the record's "message", else its "log", else the whole record as compact JSON; a line that is not text is
/// rendered as JSON too. In a chunk with common fields "lines" is a block of lines. Fields: "host" or "hostname", "path" or "tailed_path", "pid", "uid", "mode" of "message". Other keys are ignored.
/// </remarks>
public ref struct EntryReader
{
    // The first bytes of an array of 2 that begins with an EventTime as fixext8.
    private const uint EntryHead = 0x00d792;

    // Bytes before the line: array, EventTime, map, key.
    private const int HeadBytes = 20;

    // The head of a text of less than 64 KiB.
    private const int TextHeadMax = 3;

    private readonly EntryScratch scratch;
    private readonly ReadOnlySpan<byte> packed;
    private readonly ReadOnlySpan<byte> commonBytes;
    private MessagePackReader reader;
    private EntryFields inherited;
    private int common = -1;

    /// <summary>Begins to read <paramref name="packed"/> entries; <paramref name="common"/> is the chunk's array of common fields or empty.</summary>
    public EntryReader(ReadOnlySpan<byte> packed, ReadOnlySpan<byte> common, EntryScratch scratch)
    {
        this.scratch = scratch;
        this.packed = packed;
        commonBytes = common;
        reader = new MessagePackReader(packed);
        scratch.Index(common);
    }

    /// <summary>Broken entries passed over so far.</summary>
    public long Broken { get; private set; }

    /// <summary>Bytes read so far: the end of the latest entry.</summary>
    public readonly int Position => reader.Position;

    /// <summary>Reads the next entry that is whole; false at the end.</summary>
    public bool TryRead(out Entry entry)
    {
        while (!reader.AtEnd)
        {
            var start = reader.Position;
            if (TryReadPlain(out entry) || TryReadOne(out entry))
                return true;
            Broken++;
            // The broken entry may have been the one that named the source of those that follow.
            common = -1;
            inherited = default;
            reader.Position = start;
            if (reader.Skip() != ReadResult.Success)
                reader.Position = packed.Length;
        }
        entry = default;
        return false;
    }

    /// <summary>How many values <paramref name="packed"/> holds, broken ones included as far as they can be told apart.</summary>
    public static int Count(ReadOnlySpan<byte> packed)
    {
        var values = new MessagePackReader(packed);
        var count = 0;
        while (!values.AtEnd && values.Skip() == ReadResult.Success)
            count++;
        return count;
    }

    /// <summary>How many lines the entries that are left hold, read to the end.</summary>
    public long CountLines()
    {
        var lines = 0L;
        while (TryRead(out var entry))
            lines += entry.Lines;
        return lines;
    }

    // [EventTime, {"message": text}], with a small "common" or without one, as our own writer makes it: nearly all entries that are
    // no blocks. Whatever is not just so is read in the general way.
    private bool TryReadPlain(out Entry entry)
    {
        entry = default;
        var rest = packed[reader.Position..];
        if (rest.Length < HeadBytes + TextHeadMax || (BinaryPrimitives.ReadUInt32LittleEndian(rest) & 0xffffff) != EntryHead
            || BinaryPrimitives.ReadUInt64LittleEndian(rest[12..]) != EntryWriter.MessageKey)
            return false;
        var (head, size) = rest[HeadBytes] switch
        {
            >= 0xa0 and < 0xc0 and var code => (1, code & 0x1f),
            0xd9 => (2, rest[HeadBytes + 1]),
            0xda => (3, BinaryPrimitives.ReadUInt16BigEndian(rest[(HeadBytes + 1)..])),
            _ => (0, int.MaxValue - HeadBytes),
        };
        var length = HeadBytes + head + size;
        if (length > rest.Length)
            return false;
        var line = rest.Slice(HeadBytes + head, size);
        if (rest[11] == 0x82 && rest.Length > length + EntryWriter.CommonKey.Length && rest[length..].StartsWith(EntryWriter.CommonKey)
            && rest[length + EntryWriter.CommonKey.Length] is var index && index < Math.Min(0x80, scratch.Count))
        {
            if (index != common && !TryInherit(index))
                return false;
            length += EntryWriter.CommonKey.Length + 1;
        }
        else if (rest[11] != 0x81)
        {
            return false;
        }

        reader.Position += length;
        entry = new Entry
        {
            Time = (BinaryPrimitives.ReadUInt32BigEndian(rest[3..]) * 1_000_000_000L) + BinaryPrimitives.ReadUInt32BigEndian(rest[7..]),
            Message = line,
            Fields = inherited,
            Common = common,
        };
        return true;
    }

    private bool TryReadOne(out Entry entry)
    {
        entry = default;
        if (reader.ReadArray(out var two) != ReadResult.Success || two != 2 || !EntryTime.TryRead(ref reader, out var time))
            return false;
        var recordStart = reader.Position;
        if (reader.ReadMap(out var count) != ReadResult.Success)
            return false;
        var record = default(Record);
        if (!TryReadRecord(count, ref record))
            return false;
        var isBlock = record.IsBlock && record.LineStart == 0 && scratch.Count > 0;
        if (isBlock && record.Block.Length > EntryWriter.BlockBytesMax)
            return false;

        if (record.Common is { } index && scratch.Count > 0)
        {
            if (index >= (ulong)scratch.Count)
                return false;
            if ((int)index != common && !TryInherit((int)index))
                return false;
        }

        entry = new Entry
        {
            Time = time,
            Message = isBlock ? record.Block : record.LineIsText ? record.Line : Render(record.LineStart > 0 ? record.LineStart : recordStart),
            Fields = new EntryFields
            {
                Host = record.Host.IsEmpty ? inherited.Host : record.Host,
                Path = record.Path.IsEmpty ? inherited.Path : record.Path,
                Pid = record.Pid ?? inherited.Pid,
                Uid = record.Uid ?? inherited.Uid,
                IsMessage = record.IsMessage || inherited.IsMessage,
            },
            Common = common,
            IsBlock = isBlock,
        };
        return true;
    }

    private bool TryReadRecord(uint count, ref Record record)
    {
        for (; count > 0; count--)
        {
            if (reader.Read(out var key) != ReadResult.Success)
                return false;
            if (key.Kind is MessagePackKind.Array or MessagePackKind.Map)
                return false;
            var start = reader.Position;
            if (reader.Read(out var value) != ReadResult.Success)
                return false;
            if (value.Kind is MessagePackKind.Array or MessagePackKind.Map)
            {
                reader.Position = start;
                if (reader.Skip() != ReadResult.Success)
                    return false;
            }
            if (key.IsBytes && value.Kind != MessagePackKind.Nil)
                record.Take(key.Payload, value, start);
        }
        return true;
    }

    private bool TryInherit(int index)
    {
        ref var known = ref scratch.Common(index);
        if (!known.IsRead)
        {
            var all = reader;
            reader = new MessagePackReader(commonBytes) { Position = known.Offset };
            var record = default(Record);
            var good = reader.ReadMap(out var count) == ReadResult.Success && TryReadRecord(count, ref record);
            reader = all;
            if (!good)
                return false;
            known.Set(PlaceOf(record.Host), PlaceOf(record.Path), record.Pid, record.Uid, record.IsMessage);
        }

        inherited = new EntryFields { Host = commonBytes[known.Host], Path = commonBytes[known.Path], Pid = known.Pid, Uid = known.Uid, IsMessage = known.IsMessage };
        common = index;
        return true;
    }

    private readonly Range PlaceOf(ReadOnlySpan<byte> part) => commonBytes.Overlaps(part, out var at) ? at..(at + part.Length) : default;

    private readonly ReadOnlySpan<byte> Render(int start)
    {
        scratch.Text.Clear(64 * 1024);
        var value = new MessagePackReader(packed) { Position = start };
        try
        {
            JsonText.Write(ref value, scratch.Text);
        }
        catch (ForwardException)
        {
            // Rendered, this record is longer than any message may be: its text ends there.
        }
        return scratch.Text.Written;
    }

    // What is picked from a record while its keys pass.
    private ref struct Record
    {
        public ReadOnlySpan<byte> Line;
        public ReadOnlySpan<byte> Block;
        public ReadOnlySpan<byte> Host;
        public ReadOnlySpan<byte> Path;
        public bool LineIsText;
        public bool IsBlock;
        public int LineStart;
        public uint? Pid;
        public uint? Uid;
        public ulong? Common;
        public bool IsMessage;
        private bool lineIsMessage;

        public void Take(ReadOnlySpan<byte> key, in MessagePackToken value, int start)
        {
            switch (key.Length)
            {
                case 7 when key.SequenceEqual("message"u8):
                    lineIsMessage = true;
                    TakeLine(value, start);
                    break;
                case 3 when key.SequenceEqual("log"u8):
                    if (!lineIsMessage)
                        TakeLine(value, start);
                    break;
                case 3 when key.SequenceEqual("pid"u8):
                    Pid = Number(value);
                    break;
                case 3 when key.SequenceEqual("uid"u8):
                    Uid = Number(value);
                    break;
                case 4 when value.IsBytes && key.SequenceEqual("host"u8):
                    Host = value.Payload;
                    break;
                case 8 when value.IsBytes && Host.IsEmpty && key.SequenceEqual("hostname"u8):
                    Host = value.Payload;
                    break;
                case 4 when value.IsBytes && key.SequenceEqual("path"u8):
                    Path = value.Payload;
                    break;
                case 4 when value.IsBytes && key.SequenceEqual("mode"u8):
                    IsMessage = value.Payload.SequenceEqual("message"u8);
                    break;
                case 11 when value.IsBytes && Path.IsEmpty && key.SequenceEqual("tailed_path"u8):
                    Path = value.Payload;
                    break;
                case 5 when value.IsBytes && key.SequenceEqual("lines"u8):
                    Block = value.Payload;
                    IsBlock = true;
                    break;
                case 6 when value.Kind == MessagePackKind.Unsigned && key.SequenceEqual("common"u8):
                    Common = value.Number;
                    break;
            }
        }

        private void TakeLine(in MessagePackToken value, int start)
        {
            LineIsText = value.IsBytes;
            Line = value.Payload;
            LineStart = start;
        }

        private static uint? Number(in MessagePackToken value) =>
            value.Kind == MessagePackKind.Unsigned && value.Number <= uint.MaxValue ? (uint)value.Number : null;
    }
}
