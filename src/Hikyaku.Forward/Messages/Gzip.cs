using System.IO.Compression;
using System.Runtime.InteropServices;

namespace Hikyaku.Forward;

/// <summary>Decompression of entries: any number of gzip members, one after the other.</summary>
internal static class Gzip
{
    /// <summary>Appends what <paramref name="packed"/> unpacks to, at most the room that <paramref name="to"/> has. Returns what is wrong with it, or null.</summary>
    public static string? Unpack(ReadOnlyMemory<byte> packed, ByteBuffer to)
    {
        if (!MemoryMarshal.TryGetArray(packed, out var array))
            array = new ArraySegment<byte>(packed.ToArray());
        using var source = new MemoryStream(array.Array!, array.Offset, array.Count, writable: false);
        using var gzip = new GZipStream(source, CompressionMode.Decompress);
        try
        {
            while (true)
            {
                // One byte more than the limit is asked for, to tell full from over.
                var room = to.Maximum - to.Length;
                if (room == 0)
                    return gzip.ReadByte() < 0 ? null : $"gzip data that unpacks to more than {to.Maximum} bytes";
                var span = to.GetSpan(Math.Min(room, 4096));
                var read = gzip.Read(span);
                if (read == 0)
                    return null;
                to.Advance(read);
            }
        }
        catch (InvalidDataException)
        {
            return "gzip data that is broken";
        }
    }
}
