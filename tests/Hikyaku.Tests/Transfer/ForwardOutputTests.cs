using System.Collections.Concurrent;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Tests.Forward;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;
using Hikyaku.Transfer.Servers;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class ForwardOutputTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly LineSource Source = new("host"u8.ToArray(), "a.log"u8.ToArray(), 1, 2);

    private readonly ConcurrentQueue<ConnectedPair> _dialed = new();
    private readonly ConcurrentQueue<string> _reports = new();

    [Theory]
    [InlineData(0, MessageKind.CompressedPackedForward, "gzip", 3)]
    [InlineData(1, MessageKind.CompressedPackedForward, "gzip", 3)]
    [InlineData(2, MessageKind.CompressedPackedForward, "gzip", 1)]
    [InlineData(3, MessageKind.CompressedPackedForward, "zstd", 1)]
    public async Task A_server_gets_what_it_said_that_it_takes(int hikyaku, MessageKind kind, string compression, int entries)
    {
        await using var output = Output();
        var peer = await Connected(0);
        Deliver(output, 1);
        var first = await Receive(peer);
        Assert.Contains("gzip", first.Raw, StringComparison.Ordinal);
        await Acknowledge(peer, first.Message, hikyaku);
        await Until(() => output.Status()[0].Lines == 300);
        Deliver(output, 2);
        var second = await Receive(peer);

        Assert.Equal((kind, 100 * entries), (second.Message.Kind, EntryReader.Count(second.Message.Entries.Span)));
        Assert.Contains(compression, second.Raw, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_went_out_as_zstd_goes_out_as_it_is_over_the_next_connection()
    {
        await using var output = Output();
        var peer = await Connected(0);
        Deliver(output, 1);
        await Acknowledge(peer, (await Receive(peer)).Message, Ack.TakesZstd);
        await Until(() => output.Status()[0].Lines == 300);
        Deliver(output, 2);
        var first = await Receive(peer);
        peer.Dispose();
        var again = await Receive(await Connected(1));

        Assert.Equal((MessageKind.CompressedPackedForward, MessageKind.PackedForward), (first.Message.Kind, again.Message.Kind));
        Assert.True(first.Message.Entries.Span.SequenceEqual(again.Message.Entries.Span));
        Assert.True(first.Message.Chunk.Span.SequenceEqual(again.Message.Chunk.Span));
    }

    [Fact]
    public async Task A_chunk_packed_for_a_connection_that_is_gone_is_begun_anew()
    {
        await using var output = Output();
        var peer = await Connected(0);
        Deliver(output, 1);
        await Acknowledge(peer, (await Receive(peer)).Message, Ack.TakesBlocks);
        await Until(() => output.Status()[0].Lines == 300);
        var chunk = output.TryBegin([])!;
        peer.Dispose();
        await Connected(1);
        await Until(() => output.TryBegin([]) is not null);

        // Whoever answers there now has not said yet what he takes.
        Assert.False(chunk.TryWriteNote(new ByteBuffer()));
        Assert.True(chunk.MustBeginAnew);
        Assert.True(output.TryBegin([])!.TryWriteNote(new ByteBuffer()));
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(Ack.TakesBlocks, 1)]
    public async Task A_repetition_has_the_form_that_was_noted(int takes, int entries)
    {
        var note = new ByteBuffer();
        await using (var before = Output())
        {
            var first = await Connected(0);
            Deliver(before, 1);
            await Acknowledge(first, (await Receive(first)).Message, takes);
            await Until(() => before.Status()[0].Lines == 300);
            Assert.True(before.TryBegin([])!.TryWriteNote(note));
        }

        await using var output = Output();
        var peer = await Connected(1);
        Deliver(output, 2, note.Written.ToArray());

        Assert.Equal(100 * entries, EntryReader.Count((await Receive(peer)).Message.Entries.Span));
    }

    [Fact]
    public async Task Very_many_short_lines_of_a_long_path_make_full_chunks_that_a_message_can_hold()
    {
        await using var output = Output();
        await Connected(0);
        Chunk? chunk = null;
        await Until(() => (chunk = output.TryBegin([])) is not null);
        var source = new LineSource(new byte[255], new byte[4096], 1, 2);
        var block = new byte[8191];
        block.AsSpan().Fill((byte)'\n');
        while (!chunk!.IsOverfull)
            chunk.Add(new LineBlock(source, 1, block, 8192));
        chunk.Add(new LineBlock(source, 1, new byte[LineAssembler.LineBytesMax]));
        chunk.Number = 1;
        output.Deliver(chunk, 1);

        Assert.True(chunk.IsFull);
    }

    [Fact]
    public async Task What_is_acknowledged_while_it_is_being_sent_is_done_when_it_is_sent()
    {
        await using var output = Output(Compression.None);
        var peer = await Connected(0);
        Chunk? chunk = null;
        await Until(() => (chunk = output.TryBegin([])) is not null);
        // More than a connection holds.
        for (var i = 0; i < 8; i++)
            chunk!.Add(new LineBlock(Source, 1, new byte[LineAssembler.LineBytesMax]));
        chunk!.Number = 1;
        output.Deliver(chunk, 1);
        Assert.Equal(1, await peer.Near.ReadAsync(new byte[1]).AsTask().WaitAsync(Patience));
        // As an earlier try may be: under the same number, over the same connection.
        var (id, text, ack) = (new byte[ChunkId.LengthMax], new ByteBuffer(), new ByteBuffer());
        MessagePackWriter.WriteText(text, id.AsSpan(0, ChunkId.Write(id, output.Origin, 1, -1)));
        Ack.Write(ack, text.Written, Ack.TakesBlocks);
        await peer.Near.WriteAsync(ack.WrittenMemory);
        await Until(() => output.Status()[0].Lines == 8);
        Assert.False(chunk.Done);

        var drained = Task.Run(async () =>
        {
            var bytes = new byte[1 << 20];
            while (await peer.Near.ReadAsync(bytes) > 0)
            {
            }
        });
        await Until(() => chunk.Done);
        Assert.False(drained.IsCompleted);
        peer.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(() => drained);
    }

    [Fact]
    public async Task What_is_acknowledged_while_it_is_being_sent_is_done_when_the_connection_breaks()
    {
        await using var output = Output(Compression.None);
        var peer = await Connected(0);
        Chunk? chunk = null;
        await Until(() => (chunk = output.TryBegin([])) is not null);
        for (var i = 0; i < 8; i++)
            chunk!.Add(new LineBlock(Source, 1, new byte[LineAssembler.LineBytesMax]));
        chunk!.Number = 1;
        output.Deliver(chunk, 1);
        Assert.Equal(1, await peer.Near.ReadAsync(new byte[1]).AsTask().WaitAsync(Patience));
        var (id, text, ack) = (new byte[ChunkId.LengthMax], new ByteBuffer(), new ByteBuffer());
        MessagePackWriter.WriteText(text, id.AsSpan(0, ChunkId.Write(id, output.Origin, 1, -1)));
        Ack.Write(ack, text.Written, Ack.TakesBlocks);
        await peer.Near.WriteAsync(ack.WrittenMemory);
        await Until(() => output.Status()[0].Lines == 8);
        peer.Dispose();

        await Until(() => chunk.Done);
    }

    private ForwardOutput Output(Compression compression = Compression.Zstd) => new(
        new ForwardOutputSettings(["server"]) { Compress = compression }, ServerList.Of("server"), ServerList.Of("server"), Guid.NewGuid(), "route", "tag", DialAsync, TimeProvider.System, Random.Shared, _reports.Enqueue);

    private async ValueTask<Stream> DialAsync(string server, CancellationToken cancel)
    {
        var pair = await ConnectedPair.CreateAsync();
        _dialed.Enqueue(pair);
        return pair.Far;
    }

    private async Task<ConnectedPair> Connected(int index)
    {
        await Until(() => _dialed.Count > index);
        return _dialed.ElementAt(index);
    }

    // Three lines each, a hundred times.
    private static void Deliver(ForwardOutput output, ulong number, byte[]? note = null)
    {
        Chunk? chunk = null;
        SpinWait.SpinUntil(() => (chunk = output.TryBegin(note)) is not null, Patience);
        Assert.NotNull(chunk);
        for (var i = 0; i < 100; i++)
            chunk.Add(new LineBlock(Source, 1_000_000_000L * i, Encoding.UTF8.GetBytes($"first {i}\nsecond {i}\nthird {i}"), 3));
        chunk.Number = number;
        output.Deliver(chunk, number);
    }

    private static async Task<(ForwardMessage Message, string Raw)> Receive(ConnectedPair peer)
    {
        var bytes = new byte[1 << 20];
        var message = new ForwardMessage();
        var count = 0;
        while (message.Parse(bytes.AsMemory(0, count)) == MessageKind.NotEnough)
        {
            var read = await peer.Near.ReadAsync(bytes.AsMemory(count)).AsTask().WaitAsync(Patience);
            Assert.NotEqual(0, read);
            count += read;
        }

        return (message, Encoding.Latin1.GetString(bytes, 0, count));
    }

    private static async Task Acknowledge(ConnectedPair peer, ForwardMessage message, int hikyaku)
    {
        var ack = new ByteBuffer();
        Ack.Write(ack, message.Chunk.Span, hikyaku);
        await peer.Near.WriteAsync(ack.WrittenMemory);
    }

    private async Task Until(Func<bool> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"waited in vain; reports: {string.Join(" | ", _reports)}");
            await Task.Delay(1);
        }
    }
}
