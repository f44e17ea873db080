namespace Hikyaku.Log;

/// <summary>Counts what was deleted unread, per source.</summary>
internal sealed class DropTally
{
    private readonly Dictionary<ulong, (long Records, long Bytes)> _dropped = [];

    public void Add(SegmentMemory memory, ulong first, ulong lowest)
    {
        lock (_dropped)
        {
            var scan = new SegmentScan(memory, first);
            do
                while (scan.Next(out var record) == ScanStep.Record)
                    if (record.Sequence >= lowest) Add(record);
            while (scan.TrySkipDamage());
        }
    }

    public IReadOnlyList<(ulong Source, long Records, long Bytes)> Take()
    {
        lock (_dropped)
        {
            if (_dropped.Count == 0) return [];
            var list = _dropped.Select(d => (d.Key, d.Value.Records, d.Value.Bytes)).ToList();
            _dropped.Clear();
            return list;
        }
    }

    private void Add(LogRecord record)
    {
        if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write)) Add(write.Source, 1, write.Data.Length);
        else if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
            Add(extent.Source, 1, (long)(extent.To - extent.From));
        else if (record.Kind == RecordKind.Chunk && ChunkRecord.TryParse(record.Body, out var chunk))
            Add(0, chunk.Lines, chunk.EntriesBytes.Length);
    }

    private void Add(ulong source, long records, long bytes)
    {
        _dropped.TryGetValue(source, out var sum);
        _dropped[source] = (sum.Records + records, sum.Bytes + bytes);
    }
}
