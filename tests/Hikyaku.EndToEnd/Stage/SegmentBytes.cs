using System.Buffers.Binary;
using System.Text;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>Hands on the bytes of a log's segments, as docs/LOG_FORMAT.md describes them.</summary>
internal static class SegmentBytes
{
    private const int HeaderBytes = 64;
    private const int VersionAt = 8;
    private const int ChecksumAt = 12;

    public static string Newest(string log) => Directory.GetFiles(log).Where(f => f.EndsWith(".open", StringComparison.Ordinal) || f.EndsWith(".sealed", StringComparison.Ordinal)).Max(StringComparer.Ordinal)!;

    /// <summary>Changes one byte of this text in the newest segment.</summary>
    public static void Damage(string log, string text)
    {
        var path = Newest(log);
        var bytes = File.ReadAllBytes(path);
        var at = bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text));
        if (at < 0)
            throw new InvalidOperationException($"There is no '{text}' in {path}.");
        Patch(path, at, [(byte)(bytes[at] ^ 0x20)]);
    }

    /// <summary>Gives the newest segment a header that is right in every way, but of another version.</summary>
    public static void SetVersion(string log, uint version)
    {
        var path = Newest(log);
        var header = File.ReadAllBytes(path)[..HeaderBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(VersionAt), version);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(ChecksumAt), Crc32C([.. header[..ChecksumAt], .. header[(ChecksumAt + 4)..]]));
        Patch(path, 0, header);
    }

    private static void Patch(string path, long at, byte[] bytes)
    {
        using var file = File.OpenWrite(path);
        file.Seek(at, SeekOrigin.Begin);
        file.Write(bytes);
    }

    private static uint Crc32C(byte[] bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes)
        {
            crc ^= b;
            for (var i = 0; i < 8; i++)
                crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78);
        }
        return ~crc;
    }
}
