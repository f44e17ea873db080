using System.Collections.Concurrent;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class ServerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentQueue<string> events = new();
    private readonly ConcurrentQueue<string> reports = new();

    [Fact]
    public async Task Every_vector_sent_byte_by_byte_gives_its_events_and_its_ack()
    {
        // All of them on one connection: what follows a message must not suffer from it.
        string[] messages = [.. Vectors.Messages.Where(hex => hex != Vectors.UnknownCompression)];
        var answer = await ExchangeAsync(Vectors.Bytes(messages), bytesPerRead: 1);
        Assert.Equal(
            Vectors.AckOfMessageChunk + Vectors.AckOfPackedFluentd + Vectors.AckOfMessageChunk + "81a361636ba27136"
            + "81a361636bd9203030313132323333343435353636373738383939616162626363646465656666",
            answer);
        const string Foo = "tag.name:1441588984000000000 foo", Nano = "tag.name:1441588984123456789 foo", Three = "tag.name:" + Events.Three;
        Assert.Equal(
            [Foo, Nano, Foo, Three, Three, Three, Three, Three, Three, Nano, "tag.name:", "tag.name:", "app.1:1441588984123456789 hello world"],
            events);
        Assert.Empty(reports);
    }

    [Fact]
    public async Task Many_messages_in_one_segment_are_taken_in_order()
    {
        var buffer = new ByteBuffer();
        for (var i = 0; i < 20_000; i++)
            Write(buffer, i);
        var answer = Vectors.Bytes(await ExchangeAsync(buffer.Written.ToArray()));
        Assert.Equal(Enumerable.Range(0, 20_000).Select(i => $"t:{i + 1}000000000 {i}"), events);
        var position = 0;
        for (ulong i = 0; i < 20_000; i++)
        {
            Assert.Equal(ReadResult.Success, Ack.TryParse(answer.AsSpan(position), out var ack));
            new MessagePackReader(ack.Id).Read(out var id);
            Assert.Equal(i, id.Number);
            position += ack.Consumed;
        }
        Assert.Equal(answer.Length, position);

        static void Write(ByteBuffer to, int i)
        {
            MessagePackWriter.WriteArrayHeader(to, 4);
            MessagePackWriter.WriteText(to, "t"u8);
            MessagePackWriter.WriteUnsigned(to, (ulong)i + 1);
            MessagePackWriter.WriteMapHeader(to, 1);
            MessagePackWriter.WriteText(to, "message"u8);
            MessagePackWriter.WriteText(to, System.Text.Encoding.ASCII.GetBytes($"{i}"));
            MessagePackWriter.WriteMapHeader(to, 1);
            MessagePackWriter.WriteText(to, "chunk"u8);
            MessagePackWriter.WriteUnsigned(to, (ulong)i);
        }
    }

    [Fact]
    public async Task A_message_of_64_MiB_arrives_and_one_over_the_limit_does_not()
    {
        var chunk = new ChunkWriter();
        chunk.Begin("big"u8);
        var line = new byte[1 << 20];
        new Random(1).NextBytes(line);
        for (var i = 0; i < 63; i++)
            chunk.Add(i, line);
        chunk.Add(63, line.AsSpan(0, (1 << 20) - (64 * 26)));
        var bytes = chunk.Finish(new ChunkOptions { Id = "big"u8 });
        Assert.InRange(bytes.Length, (64 << 20) - 2000, (64 << 20) + 2000);
        var length = 0;
        var count = 0;
        using var pair = await ConnectedPair.CreateAsync();
        var serving = new ForwardServer(
            (message, _, _) =>
            {
                length = message.Entries.Length;
                var reader = new EntryReader(message.Entries.Span, default, new EntryScratch());
                while (reader.TryRead(out var entry))
                    count += entry.Message.SequenceEqual(line.AsSpan(0, entry.Message.Length)) ? 1 : 0;
                return ValueTask.FromResult(true);
            },
            reports.Enqueue).ServeAsync(pair.Far, "peer", default);
        await pair.Near.WriteAsync(bytes);
        var ack = new byte[9];
        await pair.Near.ReadExactlyAsync(ack);
        Assert.Equal("81a361636ba3626967", Convert.ToHexStringLower(ack));
        Assert.Equal((64, true), (count, length > 63 << 20));

        // [tag, a bin of 66 MiB
        await pair.Near.WriteAsync(Vectors.Bytes("93a161c604200000"));
        await serving.WaitAsync(Patience);
        Assert.Contains("the limit is", Assert.Single(reports), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_is_acked_only_after_it_was_stored_and_not_when_it_was_refused()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var stored = new TaskCompletionSource<bool>();
        var asked = new TaskCompletionSource();
        var serving = new ForwardServer(
            (_, _, _) =>
            {
                asked.TrySetResult();
                return new ValueTask<bool>(stored.Task);
            },
            reports.Enqueue).ServeAsync(pair.Far, "peer", default);
        await pair.Near.WriteAsync(Vectors.Bytes(Vectors.MessageChunk));
        await asked.Task.WaitAsync(Patience);
        Assert.False(pair.Near.DataAvailable);
        stored.SetResult(false);
        await serving.WaitAsync(Patience);
        Assert.Equal("", await ReadToEndAsync(pair.Near));
        Assert.Empty(reports);
    }

    [Fact]
    public async Task A_receiver_that_fails_closes_the_connection_without_an_ack_and_says_so()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = new ForwardServer((_, _, _) => throw new IOException("disk on fire"), reports.Enqueue).ServeAsync(pair.Far, "1.2.3.4", default);
        await pair.Near.WriteAsync(Vectors.Bytes(Vectors.MessageChunk));
        await serving.WaitAsync(Patience);
        Assert.Equal("", await ReadToEndAsync(pair.Near));
        var report = Assert.Single(reports);
        Assert.StartsWith("1.2.3.4: ", report, StringComparison.Ordinal);
        Assert.Contains("disk on fire", report, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Vectors.UnknownCompression, "unknown compression lz4")]
    [InlineData("c1", "c1")]
    [InlineData("5b227461672e6a736f6e222c31", "JSON")]
    [InlineData("7b7d", "JSON")]
    [InlineData("474554202f20485454502f312e310d0a486f73743a20780d0a0d0a", "does not speak the Forward protocol: ")]
    [InlineData("16030100c8010000c40303", "sends TLS")]
    [InlineData("5353482d322e302d4f70656e5353480d0a", "does not speak the Forward protocol: ")]
    [InlineData("96a450494e47a161a162a163a0a0", "shared key")]
    [InlineData("93a161", "in the middle of a message (3 bytes")]
    public async Task A_peer_that_speaks_nonsense_gets_one_report_and_no_answer(string hex, string reason)
    {
        Assert.Equal("", await ExchangeAsync(Vectors.Bytes(hex)));
        Assert.Contains(reason, Assert.Single(reports), StringComparison.Ordinal);
        Assert.Empty(events);
    }

    [Fact]
    public async Task Values_without_meaning_are_passed_over()
    {
        Assert.Equal(Vectors.AckOfMessageChunk, await ExchangeAsync(Vectors.Bytes("05", "80", "c0c0c0", Vectors.MessageChunk, "a161")));
        Assert.Single(events);
        Assert.Empty(reports);
    }

    [Fact]
    public async Task A_peer_that_connects_and_closes_is_met_with_silence()
    {
        Assert.Equal("", await ExchangeAsync([]));
        Assert.Empty(reports);
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server().ServeAsync(pair.Far, "peer", default);
        pair.Near.Socket.LingerState = new System.Net.Sockets.LingerOption(true, 0);
        pair.Near.Dispose();
        await serving.WaitAsync(Patience);
        Assert.Empty(reports);
    }

    [Fact]
    public async Task Another_Hikyaku_node_is_told_that_it_speaks_to_one()
    {
        var chunk = new ChunkWriter();
        chunk.Begin("t"u8);
        var bytes = chunk.Finish(new ChunkOptions { Id = "x"u8, Origin = Guid.NewGuid(), Route = "r"u8, Number = 1 }).ToArray();
        Assert.Equal($"82a361636ba178a768696b79616b75{Ack.Ours:x2}", await ExchangeAsync(bytes));
    }

    [Fact]
    public async Task A_peer_that_reads_no_acks_holds_up_nobody_else_and_not_the_end()
    {
        using var stop = new CancellationTokenSource();
        using var deaf = await ConnectedPair.CreateAsync();
        using var other = await ConnectedPair.CreateAsync();
        var server = Server();
        var servingDeaf = server.ServeAsync(deaf.Far, "deaf", stop.Token);
        var servingOther = server.ServeAsync(other.Far, "other", stop.Token);
        // Ids of 16 KiB each fill the way back in no time; the send stalls once both ways are full.
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(buffer, 3);
        MessagePackWriter.WriteText(buffer, "t"u8);
        MessagePackWriter.WriteArrayHeader(buffer, 0);
        MessagePackWriter.WriteMapHeader(buffer, 1);
        MessagePackWriter.WriteText(buffer, "chunk"u8);
        MessagePackWriter.WriteText(buffer, new byte[1 << 20]);
        using var stalled = new CancellationTokenSource();
        var sending = Task.Run(async () =>
        {
            while (true)
                await deaf.Near.WriteAsync(buffer.WrittenMemory, stalled.Token);
        });
        var seen = -1;
        while (events.Count != seen)
        {
            seen = events.Count;
            await Task.Delay(200);
        }
        await other.Near.WriteAsync(Vectors.Bytes(Vectors.MessageChunk));
        var ack = new byte[Vectors.AckOfMessageChunk.Length / 2];
        await other.Near.ReadExactlyAsync(ack).AsTask().WaitAsync(Patience);
        Assert.False(servingDeaf.IsCompleted);
        await stop.CancelAsync();
        await Task.WhenAll(servingDeaf, servingOther).WaitAsync(Patience);
        await stalled.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => sending);
        Assert.Empty(reports);
    }

    private ForwardServer Server() => new(
        (message, _, _) =>
        {
            events.Enqueue($"{System.Text.Encoding.UTF8.GetString(message.Tag.Span)}:{Events.Text(message)}");
            return ValueTask.FromResult(true);
        },
        reports.Enqueue);

    // Sends the bytes, ends the sending direction, and returns all that came back.
    private async Task<string> ExchangeAsync(byte[] bytes, int bytesPerRead = int.MaxValue)
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server().ServeAsync(new TricklingStream(pair.Far, bytesPerRead), "peer", default);
        var answer = ReadToEndAsync(pair.Near);
        await pair.Near.WriteAsync(bytes);
        pair.Near.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        await serving.WaitAsync(Patience);
        return await answer.WaitAsync(Patience);
    }

    private static async Task<string> ReadToEndAsync(Stream stream)
    {
        var all = new MemoryStream();
        var buffer = new byte[64 * 1024];
        try
        {
            int read;
            while ((read = await stream.ReadAsync(buffer)) > 0)
                all.Write(buffer, 0, read);
        }
        catch (IOException)
        {
            // Closed with unread bytes: the same as an end.
        }
        return Convert.ToHexStringLower(all.ToArray());
    }
}
