using System.Buffers.Binary;
using System.Text;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class CompressionTests
{
    private const string ZstdIsThere = "libzstd.so.1 is in every Debian, and the tests cannot do without it";

    [Theory]
    [InlineData(Compression.Gzip)]
    [InlineData(Compression.Zstd)]
    public void What_is_compressed_comes_back(Compression kind)
    {
        using var compressor = Compressor.Make(kind);
        var chunk = new ChunkWriter();
        var message = new ForwardMessage();
        for (var round = 1; round <= 3; round++)
        {
            Fill(chunk, round * 1000);
            var entries = chunk.Entries.ToArray();
            var bytes = chunk.Finish(new ChunkOptions { Id = "id"u8, Origin = Guid.NewGuid(), Route = "r"u8, Number = 7, Done = 3, Compressor = compressor });

            Assert.Equal(MessageKind.CompressedPackedForward, message.Parse(bytes));
            Assert.True(message.Entries.Span.SequenceEqual(entries));
            Assert.Equal((7ul, 3ul, bytes.Length), (message.Number, message.Done, message.Consumed));
            Assert.True(bytes.Length < entries.Length / 4, $"{bytes.Length} of {entries.Length} bytes");
        }
    }

    [Fact]
    public void What_would_only_grow_travels_as_it_is()
    {
        using var compressor = Compressor.Make(Compression.Gzip);
        var chunk = new ChunkWriter();
        chunk.Begin("t"u8);
        chunk.Add(1, "x"u8);

        Assert.Equal(MessageKind.PackedForward, new ForwardMessage().Parse(chunk.Finish(new ChunkOptions { Id = "id"u8, Compressor = compressor })));
    }

    [Fact]
    public void A_message_can_be_finished_again_in_another_form()
    {
        Assert.True(Compressor.IsAvailable(Compression.Zstd), ZstdIsThere);
        using var zstd = Compressor.Make(Compression.Zstd);
        var (chunk, plain) = (new ChunkWriter(), new ChunkWriter());
        Fill(chunk, 1000);
        Fill(plain, 1000);
        var expected = plain.Finish(new ChunkOptions { Id = "id"u8, Origin = Guid.Empty, Number = 1 }).ToArray();
        var first = chunk.Finish(new ChunkOptions { Id = "id"u8, Origin = Guid.Empty, Number = 1, Compressor = zstd }).ToArray();
        var again = chunk.Finish(new ChunkOptions { Id = "id"u8, Origin = Guid.Empty, Number = 1 }).ToArray();
        var third = chunk.Finish(new ChunkOptions { Id = "id"u8, Origin = Guid.Empty, Number = 1, Compressor = zstd }).ToArray();

        Assert.Equal(expected, again);
        Assert.Equal(first, third);
    }

    [Fact]
    public void Zstd_that_is_broken_off_or_followed_by_rubbish_is_refused()
    {
        var entries = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("the same again and again ", 300)));
        var zstd = Pack(entries);
        for (var length = 0; length < zstd.Length; length++)
            Assert.True(new ForwardMessage().Parse(Message(zstd.AsSpan(0, length))) == MessageKind.Malformed, $"{length} of {zstd.Length} bytes");
        Assert.Equal(MessageKind.Malformed, new ForwardMessage().Parse(Message([.. zstd, 0x00])));
        var twice = new ForwardMessage();
        Assert.Equal(MessageKind.CompressedPackedForward, twice.Parse(Message([.. zstd, .. zstd])));
        Assert.True(twice.Entries.Span.SequenceEqual([.. entries, .. entries]));
    }

    [Fact]
    public void Zstd_that_unpacks_to_more_than_the_limit_is_refused_without_the_memory_for_it()
    {
        var bomb = Pack(new byte[64 << 20]);
        Assert.True(bomb.Length < 16 << 10);
        var message = new ForwardMessage(1 << 20, 1 << 20);

        Assert.Equal(MessageKind.Malformed, message.Parse(Message(bomb)));
        Assert.Contains("more than 1048576 bytes", message.Reason, StringComparison.Ordinal);
        Assert.InRange(message.BytesHeld, 0, 2 << 20);
        var whole = new ForwardMessage(1 << 20, 1 << 20);
        Assert.True(whole.Parse(Message(Pack(new byte[1 << 20]))) == MessageKind.CompressedPackedForward, whole.Reason);
        Assert.Equal(MessageKind.Malformed, new ForwardMessage(1 << 20, 1 << 20).Parse(Message(Pack(new byte[(1 << 20) + 1]))));
    }

    [Fact]
    public void Zstd_that_wants_a_huge_window_is_refused()
    {
        // Magic, no content size, window of 2 GiB, an empty last block.
        var frame = new byte[9];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, 0xFD2FB528);
        frame[5] = (31 - 10) << 3;
        frame[6] = 1;

        Assert.Equal(MessageKind.Malformed, new ForwardMessage().Parse(Message(frame)));
    }

    [Fact]
    public void A_receiver_with_the_library_says_so()
    {
        Assert.Equal(Ack.TakesZstd, Ack.Ours);
    }

    private static void Fill(ChunkWriter chunk, int lines)
    {
        chunk.Begin("tag"u8);
        var common = chunk.AddCommon(new EntryFields { Host = "h"u8, Path = "p"u8 });
        for (var i = 0; i < lines; i++)
            chunk.AddCompact(i, Encoding.ASCII.GetBytes($"192.0.2.{i % 250} - - \"GET /index.html HTTP/1.1\" 200 {i}"), 1, i == 0 ? common : -1);
    }

    private static byte[] Pack(byte[] bytes)
    {
        Assert.True(Zstd.IsAvailable, ZstdIsThere);
        using var context = new ZstdContext();
        var packed = new ByteBuffer();
        context.Pack(bytes, packed);
        return packed.Written.ToArray();
    }

    private static byte[] Message(ReadOnlySpan<byte> packed)
    {
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(buffer, 3);
        MessagePackWriter.WriteText(buffer, "t"u8);
        MessagePackWriter.WriteBinary(buffer, packed);
        MessagePackWriter.WriteMapHeader(buffer, 1);
        MessagePackWriter.WriteText(buffer, "compressed"u8);
        MessagePackWriter.WriteText(buffer, "zstd"u8);
        return buffer.Written.ToArray();
    }
}
