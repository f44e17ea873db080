using Hikyaku.Log;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Bodies that follow from their log and a number, both of which stand at their end: what was not written cannot look as if it was.</summary>
internal static class LogBody
{
    /// <summary>The logs whose records may be met: damaged, copied among it, and what is appended after the recovery.</summary>
    public const char Ours = 'A', Foreign = 'B', Fresh = 'F';

    private const int TailBytes = 9;

    public static ulong Append(LogWriter writer, char log, ulong number)
    {
        var body = Of(log, number, out var kind);
        BrokenPromise.Unless(writer.TryAppend(kind, body.AsSpan(0, body.Length / 3), body.AsSpan(body.Length / 3), out var sequence), "a log without quota has room");
        return sequence;
    }

    /// <summary>The log and the number of a record; null if it was never written like this.</summary>
    public static (char Log, ulong Number)? Read(in LogRecord record)
    {
        if (record.Body.Length < TailBytes)
            return null;
        var (log, number) = ((char)record.Body[^1], BitConverter.ToUInt64(record.Body[^TailBytes..]));
        return record.Body.SequenceEqual(Of(log, number, out var kind)) && kind == record.Kind ? (log, number) : null;
    }

    private static byte[] Of(char log, ulong number, out RecordKind kind)
    {
        var dice = new Dice((number << 8) | log);
        kind = dice.Pick([RecordKind.Source, RecordKind.Write, RecordKind.Write, RecordKind.Write, RecordKind.Close, RecordKind.Chunk, RecordKind.Peers, (RecordKind)99]);
        var data = dice.Bytes(dice.OneIn(80) ? dice.Below(70_000) : dice.OneIn(6) ? dice.Below(3000) : dice.Below(200));
        var head = new byte[300];
        var length = kind switch
        {
            RecordKind.Source => SourceRecord.WriteHead(head, number, Math.Min(data.Length, 60_000)),
            RecordKind.Write => WriteRecord.WriteHead(head, number / 7, 2, 3, (long)dice.Next(), 5, 6, 7),
            RecordKind.Close => CloseRecord.WriteHead(head, number / 7, 2, (long)dice.Next()),
            RecordKind.Chunk => ChunkRecord.WriteHead(head, new Guid(dice.Bytes(16)), 1, 1, (long)dice.Next(), 3, "route"u8, "tag"u8, "peer"u8, "common"u8),
            RecordKind.Peers => PeersRecord.WriteHead(head, Guid.Empty, "route"u8, 4, [5, 7]),
            _ => 8,
        };
        return [.. head.AsSpan(0, length), .. data, .. BitConverter.GetBytes(number), (byte)log];
    }
}
