using System.IO.Compression;
using Hikyaku.Forward;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Messages of the Forward protocol in all their modes, as good and bad senders write them.</summary>
internal static class ForwardMessages
{
    private static readonly string[] Keys = ["message", "log", "host", "hostname", "path", "tailed_path", "pid", "uid", "common", "other"];
    private static readonly string[] Options = ["size", "chunk", "compressed", "origin", "route", "number", "done", "common", "signal"];

    public static void WriteMessage(ByteBuffer to, Dice dice)
    {
        var mode = dice.Below(12);
        switch (mode)
        {
            case 0:
                MessagePackWriter.WriteNil(to);
                return;
            case 1:
                WriteValue(to, dice, 3);
                return;
            case 2:
                WriteOurs(to, dice);
                return;
            case 3:
                MessagePackWriter.WriteMapHeader(to, 1);
                MessagePackWriter.WriteText(to, "ack"u8);
                WriteValue(to, dice, 0);
                return;
        }
        var hasOptions = dice.OneIn(2) || mode > 9;
        MessagePackWriter.WriteArrayHeader(to, (mode is 4 or 5 ? 3 : 2) + (hasOptions ? 1 : 0));
        Text(to, dice.OneIn(40) ? "PING" : "tag.name");
        switch (mode)
        {
            case 4 or 5:
                WriteTime(to, dice);
                WriteRecord(to, dice, 0);
                break;
            case 6 or 7:
                var count = dice.Below(5);
                MessagePackWriter.WriteArrayHeader(to, count);
                WriteEntries(to, dice, count, 0);
                break;
            default:
                var entries = new ByteBuffer();
                WriteEntries(entries, dice, dice.Below(6), 0);
                if (dice.OneIn(20))
                    MessagePackWriter.WriteText(entries, new byte[3 << 20]);
                var packed = mode > 9 ? Compress(entries.Written, dice) : entries.Written;
                if (dice.OneIn(2))
                    MessagePackWriter.WriteBinary(to, packed);
                else
                    MessagePackWriter.WriteText(to, packed);
                break;
        }
        if (hasOptions)
            WriteOptions(to, dice, mode > 9);
    }

    public static void WriteEntries(ByteBuffer to, Dice dice, int count, int commons)
    {
        for (; count > 0; count--)
        {
            MessagePackWriter.WriteArrayHeader(to, 2);
            WriteTime(to, dice);
            WriteRecord(to, dice, commons);
        }
    }

    public static void WriteValue(ByteBuffer to, Dice dice, int depth)
    {
        switch (dice.Below(depth > 0 ? 11 : 8))
        {
            case 0:
                MessagePackWriter.WriteNil(to);
                break;
            case 1:
                MessagePackWriter.WriteBoolean(to, dice.OneIn(2));
                break;
            case 2:
                MessagePackWriter.WriteUnsigned(to, dice.Number());
                break;
            case 3:
                MessagePackWriter.WriteInteger(to, (long)dice.Number());
                break;
            case 4:
                MessagePackWriter.WriteText(to, dice.Bytes(dice.Below(80)));
                break;
            case 5:
                MessagePackWriter.WriteBinary(to, dice.Bytes(dice.Below(400)));
                break;
            case 6:
                // Floats and the extensions of fixed and of stated length, whole.
                to.Append(dice.OneIn(2) ? [0xcb, .. dice.Bytes(8)] : [0xca, .. dice.Bytes(4)]);
                break;
            case 7:
                to.Append(dice.OneIn(2) ? [0xd6, .. dice.Bytes(5)] : [0xc7, 8, 0, .. dice.Bytes(8)]);
                break;
            case 8:
                var items = dice.Below(6);
                MessagePackWriter.WriteArrayHeader(to, items);
                for (; items > 0; items--)
                    WriteValue(to, dice, depth - 1);
                break;
            case 9:
                var pairs = dice.Below(5);
                MessagePackWriter.WriteMapHeader(to, pairs);
                for (; pairs > 0; pairs--)
                {
                    WriteValue(to, dice, dice.OneIn(6) ? depth - 1 : 0);
                    WriteValue(to, dice, depth - 1);
                }
                break;
            default:
                // A tower of arrays or maps, each the only element of the one below.
                for (var levels = dice.Below(3000); levels > 0; levels--)
                    to.Append(dice.OneIn(2) ? [0x91] : [0x81, 0xc0]);
                WriteValue(to, dice, 0);
                break;
        }
    }

    private static void WriteTime(ByteBuffer to, Dice dice)
    {
        switch (dice.Below(8))
        {
            case 0:
                MessagePackWriter.WriteUnsigned(to, dice.Number());
                break;
            case 1:
                MessagePackWriter.WriteInteger(to, (long)dice.Number());
                break;
            case 2:
                to.Append([0xcb, .. dice.Bytes(8)]);
                break;
            case 3:
                MessagePackWriter.WriteArrayHeader(to, 2);
                MessagePackWriter.WriteEventTime(to, 1);
                WriteValue(to, dice, 2);
                break;
            case 4:
                MessagePackWriter.WriteNil(to);
                break;
            default:
                MessagePackWriter.WriteEventTime(to, (long)(dice.Next() >> 1));
                break;
        }
    }

    private static void WriteRecord(ByteBuffer to, Dice dice, int commons)
    {
        var pairs = dice.Below(5);
        MessagePackWriter.WriteMapHeader(to, pairs + (commons > 0 ? 1 : 0));
        for (; pairs > 0; pairs--)
        {
            if (dice.OneIn(10))
                WriteValue(to, dice, 1);
            else
                Text(to, dice.Pick(Keys));
            WriteValue(to, dice, dice.OneIn(3) ? 3 : 0);
        }
        if (commons == 0)
            return;
        Text(to, "common");
        MessagePackWriter.WriteUnsigned(to, (ulong)dice.Below(commons + 1));
    }

    private static void WriteOptions(ByteBuffer to, Dice dice, bool isCompressed)
    {
        var count = dice.Below(5);
        MessagePackWriter.WriteMapHeader(to, count + (isCompressed ? 1 : 0));
        for (; count > 0; count--)
        {
            var key = dice.Pick(Options);
            Text(to, key);
            if (key == "origin" && !dice.OneIn(8))
                MessagePackWriter.WriteBinary(to, dice.Bytes(16));
            else if (key == "common" && !dice.OneIn(8))
                MessagePackWriter.WriteArrayHeader(to, 0);
            else if (key == "compressed")
                Text(to, dice.Pick(["gzip", "text", "zstd"]));
            else
                WriteValue(to, dice, dice.OneIn(8) ? 3 : 0);
        }
        if (!isCompressed)
            return;
        Text(to, "compressed");
        Text(to, "gzip");
    }

    private static void WriteOurs(ByteBuffer to, Dice dice)
    {
        var chunk = new ChunkWriter();
        chunk.Begin("t"u8);
        for (var lines = dice.Below(6); lines > 0; lines--)
        {
            var fields = new EntryFields { Host = "h"u8, Path = dice.Bytes(dice.Below(9)), Pid = (uint)dice.Number(), Uid = 0 };
            var common = dice.OneIn(2) || chunk.CommonCount == 0 ? chunk.AddCommon(fields) : -1;
            chunk.AddCompact((long)(dice.Next() >> 1), dice.Bytes(dice.Below(200)), dice.Between(1, 3), common);
        }
        var kind = (Compression)dice.Below(3);
        using var compressor = Compressor.IsAvailable(kind) ? Compressor.Make(kind) : null;
        to.Append(chunk.Finish(new ChunkOptions { Id = "id"u8, Origin = new Guid(dice.Bytes(16)), Route = "r"u8, Number = dice.Number(), Done = dice.Number(), Compressor = compressor }).Span);
    }

    private static byte[] Compress(ReadOnlySpan<byte> bytes, Dice dice)
    {
        var packed = new MemoryStream();
        for (var members = dice.Between(1, 2); members > 0; members--)
        {
            using var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true);
            gzip.Write(bytes);
            // A bomb: a few KiB that unpack to more than is taken.
            if (dice.OneIn(12))
                gzip.Write(new byte[3 << 20]);
        }
        var all = packed.ToArray();
        return dice.OneIn(3) ? dice.Mutate(all, 1, 64 << 10) : all;
    }

    private static void Text(ByteBuffer to, string text) => MessagePackWriter.WriteText(to, System.Text.Encoding.ASCII.GetBytes(text));
}
