using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Tests.Log;

internal static class LogTestKit
{
    public static readonly LogOptions Small = new() { SegmentBytes = 64 << 10 };

    public static ulong Append(this LogWriter writer, string text)
    {
        if (!writer.TryAppend(RecordKind.Write, default, Encoding.UTF8.GetBytes(text), out ulong sequence)) throw new InvalidOperationException("full");
        return sequence;
    }

    /// <summary>Bodies of a kilobyte each, beginning with their number.</summary>
    public static void AppendMany(this LogWriter writer, int from, int to)
    {
        for (int i = from; i < to; i++) writer.Append($"{i} ".PadRight(1024, '.'));
    }

    public static List<string> ReadAll(this LogReader reader)
    {
        var texts = new List<string>();
        while (reader.TryRead(out var record)) texts.Add(Encoding.UTF8.GetString(record.Body).TrimEnd('.', ' '));
        return texts;
    }

    public static List<string> ReadAll(ILogStorage storage, ulong from = 0)
    {
        using var reader = new LogReader(storage, from);
        return reader.ReadAll();
    }

    public static List<string> Numbers(int from, int to) => [.. Enumerable.Range(from, to - from).Select(i => i.ToString(System.Globalization.CultureInfo.InvariantCulture))];

    /// <summary>Byte offset of each record of a segment, by its sequence.</summary>
    public static unsafe Dictionary<ulong, int> Offsets(SimulatedStorage storage, string name)
    {
        var offsets = new Dictionary<ulong, int>();
        using var memory = storage.Open(name, false)!;
        var scan = new SegmentScan(memory, SegmentName.TryParse(name, out ulong first, out _) ? first : 0);
        while (true)
        {
            var (offset, sequence) = ((int)scan.Offset, scan.Sequence);
            if (scan.Next(out _) != ScanStep.Record) return offsets;
            offsets[sequence] = offset;
        }
    }
}
