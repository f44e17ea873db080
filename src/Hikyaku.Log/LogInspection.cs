using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Hikyaku.Log;

/// <summary>Shows and checks the segments of a log without changing them, whether or not it is being written.</summary>
public sealed class LogInspection(ILogStorage storage)
{
    private readonly Dictionary<ulong, string> _paths = [];

    /// <summary>Writes one line per record: sequence, kind, source, time, size of the payload, its first bytes.</summary>
    public void Dump(TextWriter output) => Walk(output, dumps: true);

    /// <summary>Writes one line per segment and per damaged place; true if anything is damaged.</summary>
    public bool Verify(TextWriter output) => Walk(output, dumps: false);

    private bool Walk(TextWriter output, bool dumps)
    {
        var segments = new SortedDictionary<ulong, string>();
        foreach (string name in storage.List())
            if (SegmentName.TryParse(name, out ulong first, out _)) segments[first] = name;
        bool isDamaged = false;
        ulong next = 0;
        foreach (var (first, name) in segments)
        {
            // It may have been sealed or retired since the directory was read.
            using var memory = storage.Open(name, writable: false) ?? storage.Open(SegmentName.Sealed(first), writable: false);
            if (memory is null) continue;
            if (!SegmentHeader.TryRead(memory, out var header) || header.First != first && header.Version == SegmentHeader.KnownVersion)
            {
                isDamaged = true;
                output.WriteLine($"{name}: damaged header");
                continue;
            }
            if (header.Version != SegmentHeader.KnownVersion)
                throw new LogException(
                    LogFault.OtherVersion,
                    $"The segment {Path.Combine(storage.Location, name)} is of version {header.Version}; this program reads version {SegmentHeader.KnownVersion}.");
            if (next != 0 && first > next) output.WriteLine($"{name}: no records {next} to {first - 1} in front of it");
            isDamaged |= Walk(output, dumps, name, memory, first, out next);
        }
        if (segments.Count == 0) output.WriteLine($"{storage.Location}: no segments");
        return isDamaged;
    }

    private bool Walk(TextWriter output, bool dumps, string name, SegmentMemory memory, ulong first, out ulong next)
    {
        var scan = new SegmentScan(memory, first);
        long records = 0;
        bool isDamaged = false, hasSeal = false;
        ScanStep step;
        while (true)
        {
            long offset = scan.Offset;
            ulong sequence = scan.Sequence;
            step = scan.Next(out var record);
            if (step == ScanStep.Record)
            {
                records++;
                hasSeal = record.Kind == RecordKind.Seal;
                if (dumps) output.WriteLine(Line(record));
                else if (record.Kind == RecordKind.Void)
                    output.WriteLine($"{name}: records {sequence} to {scan.Sequence - 1} were lost by damage at byte {offset}, covered by an earlier recovery");
                continue;
            }
            if (!scan.TrySkipDamage()) break;
            isDamaged = true;
            output.WriteLine($"{name}: damaged from byte {offset} to {scan.Offset}, records {sequence} to {scan.Sequence - 1} lost");
        }
        next = scan.Sequence;
        bool isSealed = name == SegmentName.Sealed(first);
        if (step == ScanStep.Damaged || isSealed && !hasSeal)
        {
            isDamaged = true;
            output.WriteLine($"{name}: damaged from byte {scan.Offset} to its end");
        }
        if (!dumps)
            output.WriteLine($"{name}: {records} records, {scan.Offset} of {memory.Length} bytes, sequences {first} to {next - 1}{(hasSeal ? "" : ", open")}");
        return isDamaged;
    }

    private string Line(LogRecord record)
    {
        string source = "-", text = "";
        long time = 0, size = record.Body.Length;
        switch (record.Kind)
        {
            case RecordKind.Source when SourceRecord.TryParse(record.Body, out var stated):
                source = _paths[stated.Id == 0 ? record.Sequence : stated.Id] = Printable(stated.Path, 4096);
                break;
            case RecordKind.Write when WriteRecord.TryParse(record.Body, out var write):
                (source, time, size, text) = (PathOf(write.Source), write.Time, write.Data.Length, Printable(write.Data, 60));
                break;
            case RecordKind.Close when CloseRecord.TryParse(record.Body, out var close):
                (source, time) = (PathOf(close.Source), close.Time);
                break;
            case RecordKind.Extent when ExtentRecord.TryParse(record.Body, out var extent):
                (source, time, size) = (PathOf(extent.Source), extent.Time, (long)(extent.To - extent.From));
                text = $"{extent.From}..{extent.To} of {BackingFile.LiveName(extent.File)}, generation {extent.Generation}";
                break;
            case RecordKind.Chunk when ChunkRecord.TryParse(record.Body, out var chunk):
                (source, time, size) = (Printable(chunk.Peer, 100), chunk.Time, chunk.EntriesBytes.Length);
                text = $"{chunk.Origin} {Printable(chunk.Route, 100)} number {chunk.Number}, {chunk.Lines} lines";
                break;
            case RecordKind.Peers when PeersRecord.TryParse(record.Body, out var peers):
                text = $"{peers.Origin} {Printable(peers.Route, 100)} done {peers.Done}, {peers.Received.Length} above";
                break;
            case RecordKind.Seal:
                MemoryMarshal.TryRead(record.Body, out time);
                break;
        }
        string when = time == 0 ? "-" : DateTime.UnixEpoch.AddTicks(time / 100).ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", CultureInfo.InvariantCulture);
        string kind = Enum.IsDefined(record.Kind) ? record.Kind.ToString() : $"Kind{(byte)record.Kind}";
        return $"{record.Sequence} {kind} {source} {when} {size} {text}".TrimEnd();
    }

    private string PathOf(ulong source) => _paths.TryGetValue(source, out string? path) ? path : $"#{source}";

    // ASCII as it is, the rest as \xHH, so that no byte of a log can steer a terminal.
    private static string Printable(ReadOnlySpan<byte> bytes, int most)
    {
        var text = new StringBuilder();
        foreach (byte b in bytes[..Math.Min(bytes.Length, most)])
        {
            if (b == '\n') text.Append("\\n");
            else if (b is < 0x20 or > 0x7e or (byte)'\\') text.Append($"\\x{b:x2}");
            else text.Append((char)b);
        }
        return text.ToString();
    }
}
