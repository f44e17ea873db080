using System.Buffers.Binary;

namespace Hikyaku.EndToEnd.Posix;

/// <summary>The Write records of a log, read as docs/LOG_FORMAT.md describes them.</summary>
internal static class LoggedWrites
{
    private const int SegmentHeadBytes = 64;
    private const int RecordHeadBytes = 24;
    private const int WriteHeadBytes = 56;
    private const int KindAt = 16;
    private const int OffsetAt = 16;
    private const byte Write = 2;

    public static IEnumerable<(long Offset, byte[] Data)> Of(string log)
    {
        foreach (var path in Directory.GetFiles(log).Where(f => Path.GetExtension(f) is ".open" or ".sealed").Order(StringComparer.Ordinal))
        {
            var bytes = File.ReadAllBytes(path);
            for (var at = SegmentHeadBytes; at + RecordHeadBytes <= bytes.Length;)
            {
                var length = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at));
                if (length == 0)
                    break;
                var body = at + RecordHeadBytes;
                if (bytes[at + KindAt] == Write)
                    yield return (BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(body + OffsetAt)), bytes[(body + WriteHeadBytes)..(body + length)]);
                at = (body + length + 7) & ~7;
            }
        }
    }
}
