using System.Text;
using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Log;

public sealed class RecordTests
{
    [Fact]
    public void A_write_record_comes_back_as_it_went_in()
    {
        var body = new byte[WriteRecord.HeadBytes + 3];
        Assert.Equal(56, WriteRecord.WriteHead(body, 1, 2, 3, -4, 5, 6, 7));
        "abc"u8.CopyTo(body.AsSpan(56));
        Assert.True(WriteRecord.TryParse(body, out var write));
        Assert.Equal((1ul, 2ul, 3ul, -4L, 5ul, 6u, 7u, "abc"),
            (write.Source, write.Handle, write.Offset, write.Time, write.Request, write.Uid, write.Pid, Encoding.UTF8.GetString(write.Data)));
        Assert.False(WriteRecord.TryParse(body.AsSpan(0, 55), out _));
    }

    [Fact]
    public void A_source_record_comes_back_and_a_lying_length_is_refused()
    {
        byte[] body = [.. new byte[SourceRecord.HeadBytes], .. "a/b.log"u8];
        SourceRecord.WriteHead(body, 9, 7);
        Assert.True(SourceRecord.TryParse(body, out var source));
        Assert.Equal((9ul, "a/b.log"), (source.Id, Encoding.UTF8.GetString(source.Path)));
        Assert.False(SourceRecord.TryParse(body.AsSpan(0, body.Length - 1), out _));
        Assert.False(SourceRecord.TryParse([], out _));
    }

    [Fact]
    public void A_close_record_comes_back_as_it_went_in()
    {
        var body = new byte[24];
        CloseRecord.WriteHead(body, 1, 2, 3);
        Assert.True(CloseRecord.TryParse(body, out var close));
        Assert.Equal((1ul, 2ul, 3L), (close.Source, close.Handle, close.Time));
        Assert.False(CloseRecord.TryParse(body.AsSpan(1), out _));
    }

    [Fact]
    public void A_chunk_record_comes_back_and_lying_lengths_are_refused()
    {
        var origin = Guid.NewGuid();
        var body = new byte[ChunkRecord.HeadBytes(1, 2, 3, 4) + 5];
        int head = ChunkRecord.WriteHead(body, origin, 11, 10, 12, 13, "r"u8, "tt"u8, "ppp"u8, "cccc"u8);
        Assert.Equal(body.Length - 5, head);
        "eeeee"u8.CopyTo(body.AsSpan(head));
        Assert.True(ChunkRecord.TryParse(body, out var chunk));
        Assert.Equal((origin, 11ul, 10ul, 12L, 13u), (chunk.Origin, chunk.Number, chunk.Done, chunk.Time, chunk.Lines));
        Assert.True(chunk.Route.SequenceEqual("r"u8) && chunk.Tag.SequenceEqual("tt"u8) && chunk.Peer.SequenceEqual("ppp"u8));
        Assert.True(chunk.Common.SequenceEqual("cccc"u8) && chunk.EntriesBytes.SequenceEqual("eeeee"u8));
        for (int at = 44; at < 60; at += 4)
        {
            var lying = body.ToArray();
            lying.AsSpan(at, 4).Fill(255);
            Assert.False(ChunkRecord.TryParse(lying, out _));
        }
        Assert.False(ChunkRecord.TryParse(body.AsSpan(0, 63), out _));
    }

    [Fact]
    public void A_peers_record_comes_back_and_lying_lengths_are_refused()
    {
        var origin = Guid.NewGuid();
        var body = new byte[PeersRecord.HeadBytes(5, 2)];
        Assert.Equal(body.Length, PeersRecord.WriteHead(body, origin, "route"u8, 7, [8, 10]));
        Assert.True(PeersRecord.TryParse(body, out var peers));
        Assert.Equal((origin, 7ul), (peers.Origin, peers.Done));
        Assert.True(peers.Received.SequenceEqual([8ul, 10ul]) && peers.Route.SequenceEqual("route"u8));
        body.AsSpan(24, 4).Fill(255);
        Assert.False(PeersRecord.TryParse(body, out _));
        Assert.False(PeersRecord.TryParse(body.AsSpan(0, 31), out _));
    }

    [Fact]
    public unsafe void The_checksum_is_the_published_one_at_every_length()
    {
        fixed (byte* digits = "123456789"u8) Assert.Equal(0xE3069283u, Crc32C.Compute(digits, 9));
        var bytes = new byte[20_000];
        new Random(1).NextBytes(bytes);
        uint crc = uint.MaxValue;
        fixed (byte* p = bytes)
        {
            for (int length = 0; length < bytes.Length; length++)
            {
                if (length % 97 == 0 || length < 100) Assert.Equal(~crc, Crc32C.Compute(p, length));
                crc ^= bytes[length];
                for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) == 0 ? 0 : 0x82F63B78u);
            }
        }
    }
}
