using System.Diagnostics;
using Hikyaku.Log;
using Hikyaku.Supervision;

namespace Hikyaku.Status;

/// <summary>What lies in a log between a cursor and the end.</summary>
/// <param name="Complete">False when there was too much to count: then there is at least this much.</param>
internal sealed record QueueStatus(long Records, long Lines, long Bytes, double OldestSeconds, bool Complete)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Reads the log beside its writer; null when there is no such log yet.</summary>
    public static QueueStatus? Of(string state, string log, ulong cursor)
    {
        if (!Directory.Exists(InstancePaths.Log(state, log)))
            return null;
        using var reader = new LogReader(new FileLogStorage(InstancePaths.Log(state, log)), cursor);
        var began = Stopwatch.GetTimestamp();
        long records = 0, lines = 0, bytes = 0, oldest = 0;
        var complete = true;
        while (complete && reader.TryRead(out var record))
        {
            if (record.Kind is RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                Count(MemoryExtensions.Count(write.Data, (byte)'\n'), write.Data.Length, write.Time);
            else if (record.Kind is RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                Count(0, (long)(extent.To - extent.From), extent.Time);
            else if (record.Kind is RecordKind.Chunk && ChunkRecord.TryParse(record.Body, out var chunk))
                Count(chunk.Lines, chunk.EntriesBytes.Length, chunk.Time);
            complete = Stopwatch.GetElapsedTime(began) < Patience;
        }
        var now = (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        return new QueueStatus(records, lines, bytes, oldest is 0 ? 0 : Math.Max(0, now - (oldest / 1e9)), complete);

        void Count(long moreLines, long moreBytes, long time)
        {
            (records, lines, bytes) = (records + 1, lines + moreLines, bytes + moreBytes);
            oldest = oldest is 0 ? time : oldest;
        }
    }
}
