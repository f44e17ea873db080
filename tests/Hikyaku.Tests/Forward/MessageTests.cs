using System.IO.Compression;
using System.Text;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class MessageTests
{
    [Theory]
    [InlineData(Vectors.MessageInteger, MessageKind.Message, "1441588984000000000 foo")]
    [InlineData(Vectors.MessageEventTime, MessageKind.Message, "1441588984123456789 foo")]
    [InlineData(Vectors.MessageChunk, MessageKind.Message, "1441588984000000000 foo")]
    [InlineData(Vectors.Forward, MessageKind.Forward, Events.Three)]
    [InlineData(Vectors.PackedBin8, MessageKind.PackedForward, Events.Three)]
    [InlineData(Vectors.PackedStr8, MessageKind.PackedForward, Events.Three)]
    [InlineData(Vectors.PackedFluentd, MessageKind.PackedForward, Events.Three)]
    [InlineData(Vectors.Gzip, MessageKind.CompressedPackedForward, Events.Three)]
    [InlineData(Vectors.GzipTwoMembers, MessageKind.CompressedPackedForward, Events.Three)]
    [InlineData(Vectors.FluentBitMetadata, MessageKind.Forward, "1441588984123456789 foo")]
    [InlineData(Vectors.PackedEmpty, MessageKind.PackedForward, "")]
    public void Every_mode_gives_its_events(string hex, MessageKind kind, string events)
    {
        var bytes = Vectors.Bytes(hex);
        var message = new ForwardMessage();
        Assert.Equal(kind, message.Parse(bytes));
        Assert.Equal(bytes.Length, message.Consumed);
        Assert.Equal("tag.name", Encoding.UTF8.GetString(message.Tag.Span));
        Assert.Equal(events, Events.Text(message));
        Assert.False(message.HasOrigin);
    }

    [Fact]
    public void Fluent_Bits_own_chunk_is_understood()
    {
        var message = new ForwardMessage();
        Assert.Equal(MessageKind.PackedForward, message.Parse(Vectors.Bytes(Vectors.FluentBitPacked)));
        Assert.Equal("1441588984123456789 hello world", Events.Text(message));
        Assert.Equal("d920" + "3030313132323333343435353636373738383939616162626363646465656666", Convert.ToHexStringLower(message.Chunk.Span));
    }

    [Theory]
    [InlineData(Vectors.MessageChunk, Vectors.AckOfMessageChunk)]
    [InlineData(Vectors.GzipTwoMembers, Vectors.AckOfMessageChunk)]
    [InlineData(Vectors.PackedFluentd, Vectors.AckOfPackedFluentd)]
    public void The_ack_echoes_the_chunk_id_bit_for_bit(string hex, string ack)
    {
        var message = new ForwardMessage();
        message.Parse(Vectors.Bytes(hex));
        var buffer = new ByteBuffer();
        Ack.Write(buffer, message.Chunk.Span, message.HasOrigin ? Ack.TakesBlocks : 0);
        Assert.Equal(ack, Convert.ToHexStringLower(buffer.Written));
    }

    [Theory]
    [InlineData("cd3039")]
    [InlineData("d100ff")]
    [InlineData("c4020001")]
    [InlineData("9201a161")]
    [InlineData("cb3ff8000000000000")]
    public void A_chunk_id_of_any_type_is_echoed(string id)
    {
        var message = new ForwardMessage();
        message.Parse(Vectors.Bytes("93a161a081a56368756e6b", id));
        Assert.Equal(id, Convert.ToHexStringLower(message.Chunk.Span));
    }

    [Theory]
    [InlineData("c0")]
    [InlineData("c2")]
    public void A_chunk_id_that_says_no_asks_for_no_ack(string id)
    {
        var message = new ForwardMessage();
        Assert.Equal(MessageKind.PackedForward, message.Parse(Vectors.Bytes("93a161a081a56368756e6b", id)));
        Assert.True(message.Chunk.IsEmpty);
    }

    [Fact]
    public void Fluencys_size_in_bytes_changes_nothing()
    {
        var message = new ForwardMessage();
        Assert.Equal(MessageKind.PackedForward, message.Parse(Vectors.Bytes("93a87461672e6e616d65c448", Vectors.Entries, Vectors.FluencyOptions)));
        Assert.Equal(Events.Three, Events.Text(message));
        Assert.Equal("6f2c1e0a-3f0e-4f43-9d55-0d5f3a3a1b11", Encoding.ASCII.GetString(message.Chunk.Span[2..]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("c0")]
    [InlineData("80")]
    [InlineData("81a473697a6500")]
    [InlineData("81a473697a65cd03e7")]
    [InlineData("81a473697a65a3616263")]
    [InlineData("8101a473697a65")]
    [InlineData("81809103")]
    public void Options_that_say_little_or_nonsense_about_size_change_nothing(string options)
    {
        var message = new ForwardMessage();
        var array = options.Length == 0 ? "92" : "93";
        Assert.Equal(MessageKind.PackedForward, message.Parse(Vectors.Bytes(array, "a87461672e6e616d65c448", Vectors.Entries, options)));
        Assert.Equal(Events.Three, Events.Text(message));
    }

    [Theory]
    [InlineData("c1", "c1")]
    [InlineData("9190", "array of 1")]
    [InlineData("90", "array of 0")]
    [InlineData("9301a080", "tag that is not a string")]
    [InlineData("92a16105", "without a record")]
    [InlineData("93a161a005", "option that is not a map")]
    [InlineData(Vectors.UnknownCompression, "unknown compression lz4")]
    [InlineData("93a161a3616263" + "81aa636f6d70726573736564a4677a6970", "gzip data that is broken")]
    [InlineData("96a450494e47a161a162a163a0a0", "PING")]
    public void What_cannot_be_taken_is_named(string hex, string reason)
    {
        var message = new ForwardMessage();
        Assert.Equal(MessageKind.Malformed, message.Parse(Vectors.Bytes(hex)));
        Assert.Contains(reason, message.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("c0", MessageKind.Heartbeat)]
    [InlineData("05", MessageKind.Ignored)]
    [InlineData("80", MessageKind.Ignored)]
    [InlineData("a161", MessageKind.Ignored)]
    public void Values_that_are_no_arrays_are_told_apart(string hex, MessageKind kind)
    {
        var message = new ForwardMessage();
        Assert.Equal(kind, message.Parse(Vectors.Bytes(hex, "9090")));
        Assert.Equal(hex.Length / 2, message.Consumed);
    }

    [Fact]
    public void A_message_in_pieces_needs_more_until_its_last_byte()
    {
        foreach (var hex in Vectors.Messages)
        {
            var bytes = Vectors.Bytes(hex);
            var growing = new ForwardMessage();
            for (var length = 0; length < bytes.Length; length++)
            {
                Assert.Equal(MessageKind.NotEnough, growing.Parse(bytes.AsMemory(0, length)));
                Assert.InRange(growing.Needed, length + 1, bytes.Length);
                Assert.Equal(MessageKind.NotEnough, new ForwardMessage().Parse(bytes.AsMemory(0, length)));
            }
            var whole = new ForwardMessage();
            Assert.Equal(whole.Parse(bytes), growing.Parse(bytes));
            Assert.True(whole.Entries.Span.SequenceEqual(growing.Entries.Span));
        }
    }

    [Fact]
    public void A_packed_chunk_tells_its_whole_length_from_its_header()
    {
        var message = new ForwardMessage();
        Assert.Equal(MessageKind.NotEnough, message.Parse(Vectors.Bytes("93a161c600100000")));
        Assert.Equal(8 + (1 << 20) + 1, message.Needed);
    }

    [Theory]
    [InlineData("93a161c600200000")]
    [InlineData("93a161dd00200000")]
    [InlineData("dd7fffffff")]
    public void A_message_over_the_limit_is_refused_from_its_header(string hex)
    {
        var message = new ForwardMessage(1024 * 1024);
        Assert.Equal(MessageKind.Malformed, message.Parse(Vectors.Bytes(hex)));
        Assert.Contains("the limit is 1048576", message.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_decompression_bomb_is_bounded()
    {
        const int Limit = 1024 * 1024;
        Assert.Equal(MessageKind.CompressedPackedForward, Zeros(Limit));
        Assert.Equal(MessageKind.Malformed, Zeros(Limit + 1));
        Assert.Equal(MessageKind.Malformed, Zeros(100 * Limit));

        static MessageKind Zeros(int count)
        {
            var packed = Compressed(new byte[count]);
            var before = GC.GetAllocatedBytesForCurrentThread();
            var message = new ForwardMessage(Limit, Limit);
            var kind = message.Parse(packed);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 * Limit);
            return kind;
        }
    }

    [Fact]
    public void Compressed_entries_cut_off_anywhere_or_followed_by_rubbish_are_malformed()
    {
        var gzip = Vectors.Bytes(Vectors.Gzip).AsSpan(12, 0x3a);
        for (var length = 1; length < gzip.Length; length++)
        {
            var message = new ForwardMessage();
            Assert.True(message.Parse(WithGzip(gzip[..length])) == MessageKind.Malformed, $"{length} of {gzip.Length} bytes");
        }
        Assert.Equal(MessageKind.Malformed, new ForwardMessage().Parse(WithGzip([.. gzip, 0x00])));
        Assert.Equal(MessageKind.CompressedPackedForward, new ForwardMessage().Parse(WithGzip([.. gzip, .. gzip])));
    }

    [Fact]
    public void A_message_is_used_again_without_remembering()
    {
        var message = new ForwardMessage();
        message.Parse(Vectors.Bytes(Vectors.Gzip));
        message.Parse(Vectors.Bytes(Vectors.MessageChunk));
        Assert.False(message.Chunk.IsEmpty);
        message.Parse(Vectors.Bytes(Vectors.MessageInteger));
        Assert.True(message.Chunk.IsEmpty);
        Assert.Equal("1441588984000000000 foo", Events.Text(message));
    }

    [Fact]
    public void Bytes_that_are_not_UTF8_pass_unchanged()
    {
        var message = new ForwardMessage();
        message.Parse(Vectors.Bytes("93a2fffeca3f80000082a76d657373616765a3ff00fea2c0c1a180"));
        Assert.Equal("fffe", Convert.ToHexStringLower(message.Tag.Span));
        Assert.Equal("1000000000 \u00ff\0\u00fe", Events.Text(message));
    }

    [Fact]
    public void A_chunk_we_write_is_a_chunk_we_read()
    {
        var origin = Guid.NewGuid();
        var chunk = new ChunkWriter();
        for (var round = 0; round < 2; round++)
        {
            chunk.Begin("a.b"u8);
            var first = chunk.AddCommon(new EntryFields { Host = "foo"u8, Path = "access.log"u8, Pid = 7, Uid = 0 });
            var second = chunk.AddCommon(new EntryFields { Host = "foo"u8, Path = "error.log"u8 });
            chunk.AddCompact(1, "one"u8, 1, first);
            chunk.AddCompact(2, "two"u8, 1, -1);
            chunk.AddCompact(3, "three"u8, 1, second);
            chunk.AddCompact(4, "four"u8, 1, first);
            var bytes = chunk.Finish(new ChunkOptions { Id = "id-1"u8, Origin = origin, Route = "r"u8, Number = 9, Done = 8 });

            var message = new ForwardMessage();
            Assert.Equal(MessageKind.PackedForward, message.Parse(bytes));
            Assert.Equal(bytes.Length, message.Consumed);
            Assert.True(message.HasOrigin);
            Assert.Equal(origin, message.Origin);
            Assert.Equal((9ul, 8ul), (message.Number, message.Done));
            Assert.True(message.Route.Span.SequenceEqual("r"u8));
            Assert.Equal(4, EntryReader.Count(message.Entries.Span));
            Assert.Equal(
                "1 one host=foo path=access.log pid=7 uid=0|2 two host=foo path=access.log pid=7 uid=0|3 three host=foo path=error.log|4 four host=foo path=access.log pid=7 uid=0",
                Events.Text(message));
        }
    }

    [Fact]
    public void A_chunk_for_a_foreign_receiver_is_plain_PackedForward()
    {
        var chunk = new ChunkWriter();
        chunk.Begin("tag.name"u8);
        foreach (var (time, line) in new[] { (1441588984, "foo"), (1441588985, "bar"), (1441588986, "baz") })
            chunk.Add(time * 1_000_000_000L, Encoding.UTF8.GetBytes(line));
        var bytes = chunk.Finish(new ChunkOptions { Id = "abc"u8 });
        Assert.Equal("93a87461672e6e616d65c600000048" + Vectors.Entries + "82a473697a6503a56368756e6ba3616263", Convert.ToHexStringLower(bytes.Span));
    }

    [Fact]
    public void Our_option_keys_in_the_hands_of_others_mean_nothing()
    {
        // {"number": "x", "route": 5, "origin": "here", "common": nil}
        var message = new ForwardMessage();
        Assert.Equal(MessageKind.PackedForward, message.Parse(Vectors.Bytes("93a161a084a66e756d626572a178a5726f75746505a66f726967696ea468657265a6636f6d6d6f6ec0")));
        Assert.False(message.HasOrigin);
        Assert.Equal(0ul, message.Number);
    }

    [Theory]
    [InlineData("a66e756d626572a178", "number")]
    [InlineData("a4646f6e65ff", "done")]
    [InlineData("a5726f75746505", "route")]
    [InlineData("a6636f6d6d6f6e80", "common")]
    public void Our_option_keys_of_the_wrong_type_beside_an_origin_are_named(string option, string name)
    {
        var message = new ForwardMessage();
        Assert.Equal(MessageKind.Malformed, message.Parse(Vectors.Bytes("93a161a082a66f726967696ec410000102030405060708090a0b0c0d0e0f", option)));
        Assert.Contains($"option {name}", message.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("81a361636ba3616263", "abc", 0)]
    [InlineData("82a361636ba3616263a768696b79616b7501", "abc", 1)]
    [InlineData("82a768696b79616b7502a361636bc403616263", "abc", 2)]
    [InlineData("82a0c0a361636ba4616263" + "0a", "abc\n", 0)]
    [InlineData("82a361636ba3616263a768696b79616b75a0", "abc", 0)]
    public void An_ack_is_read_whatever_stands_beside_it(string hex, string id, int hikyaku)
    {
        var bytes = Vectors.Bytes(hex, "81");
        Assert.Equal(ReadResult.Success, Ack.TryParse(bytes, out var ack));
        Assert.Equal((id, hikyaku, bytes.Length - 1), (Encoding.ASCII.GetString(ack.Id), ack.Hikyaku, ack.Consumed));
        for (var length = 0; length < bytes.Length - 1; length++)
            Assert.Equal(ReadResult.Insufficient, Ack.TryParse(bytes.AsSpan(0, length), out _));
    }

    [Theory]
    [InlineData("80")]
    [InlineData("81a361637801")]
    [InlineData("92a448454c4f80")]
    [InlineData("c1")]
    public void What_is_no_ack_is_malformed(string hex) => Assert.Equal(ReadResult.Malformed, Ack.TryParse(Vectors.Bytes(hex), out _));

    private static byte[] Compressed(ReadOnlySpan<byte> entries)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            gzip.Write(entries);
        return WithGzip(packed.ToArray());
    }

    private static byte[] WithGzip(ReadOnlySpan<byte> gzip)
    {
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(buffer, 3);
        MessagePackWriter.WriteText(buffer, "t"u8);
        MessagePackWriter.WriteBinary(buffer, gzip);
        MessagePackWriter.WriteMapHeader(buffer, 1);
        MessagePackWriter.WriteText(buffer, "compressed"u8);
        MessagePackWriter.WriteText(buffer, "gzip"u8);
        return buffer.Written.ToArray();
    }
}
