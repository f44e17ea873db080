using System.Buffers;
using System.IO.Compression;

namespace Hikyaku.Forward;

/// <summary>Entries as gzip: one member when they are packed, any number of them, one after the other, when they are unpacked.</summary>
internal static class Gzip
{
    /// <summary>Appends the bytes as one member.</summary>
    public static void Pack(ReadOnlySpan<byte> bytes, ByteBuffer to)
    {
        using var gzip = new GZipStream(new Appending(to), CompressionLevel.Fastest);
        gzip.Write(bytes);
    }

    // The framework's decompressor takes data that is broken off, or followed by rubbish, for complete. So a member of our
    // own is put behind it: only if its content comes out at the end was everything before it whole.
    private static ReadOnlySpan<byte> EndMember =>
    [
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff,
        0x01, 0x08, 0x00, 0xf7, 0xff, 0xc1, 0x68, 0x69, 0x6b, 0x79, 0x61, 0x6b, 0x75,
        0x52, 0xfb, 0x2a, 0x53, 0x08, 0x00, 0x00, 0x00,
    ];

    private static ReadOnlySpan<byte> End => EndMember.Slice(15, EndLength);

    /// <summary>Bytes of room that <see cref="Unpack"/> wants beyond the limit.</summary>
    public const int EndLength = 8;

    /// <summary>Appends what <paramref name="packed"/> unpacks to, at most <paramref name="limit"/> bytes. Returns what is wrong with it, or null.</summary>
    public static string? Unpack(ReadOnlySpan<byte> packed, ByteBuffer to, int limit)
    {
        var length = packed.Length + EndMember.Length;
        var input = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            packed.CopyTo(input);
            EndMember.CopyTo(input.AsSpan(packed.Length));
            using var source = new MemoryStream(input, 0, length, writable: false);
            using var gzip = new GZipStream(source, CompressionMode.Decompress);
            var before = to.Length;
            while (true)
            {
                var room = before + limit + EndLength - to.Length;
                if (room == 0)
                    break;
                var span = to.GetSpan(Math.Min(room, 4096));
                var read = gzip.Read(span[..Math.Min(room, span.Length)]);
                if (read == 0)
                    break;
                to.Advance(read);
            }
            if (to.Written[before..].EndsWith(End) && gzip.ReadByte() < 0)
            {
                to.Truncate(to.Length - EndLength);
                return null;
            }
            return to.Length == before + limit + EndLength ? $"gzip data that unpacks to more than {limit} bytes" : "gzip data that is broken off";
        }
        catch (InvalidDataException)
        {
            return "gzip data that is broken";
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(input);
        }
    }

    private sealed class Appending(ByteBuffer to) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => to.Length;

        public override long Position
        {
            get => to.Length;
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer) => to.Append(buffer);

        public override void Write(byte[] buffer, int offset, int count) => to.Append(buffer.AsSpan(offset, count));

        public override void Flush()
        {
            // Nothing is held back.
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
