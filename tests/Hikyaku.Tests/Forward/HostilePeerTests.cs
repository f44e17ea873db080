using System.Collections.Concurrent;
using System.IO.Compression;
using System.Text;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

[Collection(nameof(MeasuresMemory))]
public sealed class HostilePeerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentQueue<string> _reports = new();
    private readonly SteppedTime _time = new();

    [Fact]
    public async Task Half_a_message_is_given_up_when_nothing_more_comes()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var serving = Server().ServeAsync(pair.Far, "1.2.3.4", default);
        await pair.Near.WriteAsync(Vectors.Bytes("93a16192"));
        await Until(() => _time.IsAwaited(ForwardServer.ProgressTime));
        _time.Advance(ForwardServer.ProgressTime - TimeSpan.FromMilliseconds(1));
        Assert.False(serving.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await serving.WaitAsync(Patience);
        Assert.Equal("1.2.3.4: stops in the middle of a message (4 bytes of it came, 0 of them in the last 60 s); connection closed", Assert.Single(_reports));
    }

    [Fact]
    public async Task A_byte_now_and_then_is_no_progress()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var stream = new CountingStream(pair.Far);
        var serving = Server().ServeAsync(stream, "peer", default);
        // [tag, a bin of 1 MiB
        await pair.Near.WriteAsync(Vectors.Bytes("93a161c600100000"));
        await Until(() => _time.IsAwaited(ForwardServer.ProgressTime));
        for (var i = 0; i < 59; i++)
        {
            await pair.Near.WriteAsync(new byte[1]);
            await Until(() => stream.BytesRead == 8 + i + 1);
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.False(serving.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));
        await serving.WaitAsync(Patience);
        Assert.Contains("stops in the middle of a message (67 bytes of it came, 59 of them in the last 60 s)", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slow_peer_that_moves_on_may_take_as_long_as_it_needs()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var stream = new CountingStream(pair.Far);
        var serving = Server().ServeAsync(stream, "peer", default);
        var message = Message("big", new byte[1 << 20], "id");
        const int piece = ForwardServer.ProgressBytes;
        for (var at = 0; at < message.Length; at += piece)
        {
            await pair.Near.WriteAsync(message.AsMemory(at, Math.Min(piece, message.Length - at)));
            await Until(() => stream.BytesRead == Math.Min(at + piece, message.Length));
            // Nobody can see when the server has taken note of what it read, only that it reads again.
            await Until(() => stream.IsReading);
            _time.Advance(ForwardServer.ProgressTime / 2);
        }

        await pair.Near.ReadExactlyAsync(new byte[8]);
        Assert.False(serving.IsCompleted);
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task An_idle_connection_stays_and_its_next_message_is_taken()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var stream = new CountingStream(pair.Far);
        var serving = Server().ServeAsync(stream, "peer", default);
        var ack = new byte[Vectors.AckOfMessageChunk.Length / 2];
        for (var i = 0; i < 3; i++)
        {
            // Its first half alone has a time limit, which must not outlast it.
            var bytes = Vectors.Bytes(Vectors.MessageChunk);
            await pair.Near.WriteAsync(bytes.AsMemory(0, 10));
            await Until(() => _time.IsAwaited(ForwardServer.ProgressTime));
            await pair.Near.WriteAsync(bytes.AsMemory(10));
            await pair.Near.ReadExactlyAsync(ack).AsTask().WaitAsync(Patience);
            await Until(() => stream.IsReading);
            _time.Advance(TimeSpan.FromDays(1));
        }

        Assert.False(serving.IsCompleted);
        Assert.Empty(_reports);
    }

    [Fact]
    public async Task Who_takes_no_acks_is_given_up()
    {
        var stream = new OneMessageStream(Vectors.Bytes(Vectors.MessageChunk)) { IsDeaf = true };
        var serving = Server().ServeAsync(stream, "deaf", default);
        await Until(() => _time.IsAwaited(ForwardServer.ProgressTime));
        _time.Advance(ForwardServer.ProgressTime - TimeSpan.FromMilliseconds(1));
        Assert.False(serving.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await serving.WaitAsync(Patience);
        Assert.Equal("deaf: takes no acks for 60 s; connection closed", Assert.Single(_reports));
    }

    [Fact]
    public async Task Beyond_the_budget_who_asks_for_more_is_closed_and_that_is_said_once()
    {
        const int budget = 4 << 20;
        var server = Server(budget);
        var pairs = new List<ConnectedPair>();
        var serving = new List<Task>();
        for (var i = 0; i < 8; i++)
        {
            var pair = await ConnectedPair.CreateAsync();
            pairs.Add(pair);
            serving.Add(server.ServeAsync(pair.Far, $"peer{i}", default));
        }

        // Each promises 8 MiB and sends a good one.
        var half = new byte[(1 << 20) + 8];
        Vectors.Bytes("93a161c600800000").CopyTo(half, 0);
        var sending = pairs.Select(async pair =>
        {
            try
            {
                await pair.Near.WriteAsync(half);
            }
            catch (IOException)
            {
                // Closed in the midst of it.
            }
        }).ToArray();
        await Until(() => serving.Any(static s => s.IsCompleted) && !_reports.IsEmpty);
        await Task.WhenAll(sending).WaitAsync(Patience);
        Assert.Equal($"unfinished messages take all of the {budget} bytes that they may; connections that need more are closed", Assert.Single(_reports));

        // Those that stay are not disturbed but by their own time; when they are gone others are served again.
        Assert.Contains(serving, static s => !s.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.Contains(serving, static s => !s.IsCompleted);
        // Their time may have begun a little later, where a busy machine read the last bytes late.
        await Until(() =>
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return serving.TrueForAll(static s => s.IsCompleted);
        });
        // A busy machine may read bytes of some only after others are gone, and then room is short once more.
        Assert.Contains("unfinished messages have room again", _reports);
        using var last = await ConnectedPair.CreateAsync();
        _ = server.ServeAsync(last.Far, "last", default);
        await last.Near.WriteAsync(Message("big", new byte[1 << 20], "id"));
        await last.Near.ReadExactlyAsync(new byte[8]).AsTask().WaitAsync(Patience);
    }

    [Fact]
    public async Task What_a_small_message_unpacks_to_counts_too()
    {
        const int budget = 4 << 20;
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(Entries(new byte[3 << 20]));
        var message = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(message, 3);
        MessagePackWriter.WriteText(message, "t"u8);
        MessagePackWriter.WriteBinary(message, packed.ToArray());
        MessagePackWriter.WriteMapHeader(message, 1);
        MessagePackWriter.WriteText(message, "compressed"u8);
        MessagePackWriter.WriteText(message, "gzip"u8);
        var stored = new TaskCompletionSource<bool>();
        var asked = 0;
        var server = new ForwardServer(
            (_, _, _) =>
            {
                Interlocked.Increment(ref asked);
                return new ValueTask<bool>(stored.Task);
            },
            _reports.Enqueue, time: _time, buffersBytesMax: budget);
        using var one = await ConnectedPair.CreateAsync();
        using var two = await ConnectedPair.CreateAsync();
        var servingOne = server.ServeAsync(one.Far, "one", default);
        await one.Near.WriteAsync(message.WrittenMemory);
        await Until(() => asked == 1);
        // The disk is slow: what the first one unpacked is still held.
        var servingTwo = server.ServeAsync(two.Far, "two", default);
        await two.Near.WriteAsync(message.WrittenMemory);
        await servingTwo.WaitAsync(Patience);
        Assert.Equal(1, asked);
        Assert.Contains("unfinished messages take all", Assert.Single(_reports), StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromMinutes(1));
        stored.SetResult(true);
        await Until(() => _reports.Count == 2);
        Assert.False(servingOne.IsCompleted);
    }

    [Fact]
    public async Task A_peer_that_comes_again_and_again_with_the_same_nonsense_is_one_line()
    {
        var server = Server();
        for (var i = 0; i < 20; i++)
            await Try("5b227461672e6a736f6e222c31");
        Assert.Contains("sends JSON", Assert.Single(_reports), StringComparison.Ordinal);
        // Something else is news, and so is the same after it did well for a while.
        await Try("16030100c8010000c40303");
        Assert.Equal(2, _reports.Count);
        _time.Advance(TimeSpan.FromMinutes(2));
        await Try(Vectors.MessageChunk);
        await Try("5b227461672e6a736f6e222c31");
        Assert.Equal(3, _reports.Count);
        for (var i = 0; i < 100; i++)
            await Try($"0101010101010101{i:x2}");
        Assert.InRange(_reports.Count, 4, 12);

        async Task Try(string hex)
        {
            using var pair = await ConnectedPair.CreateAsync();
            var serving = server.ServeAsync(pair.Far, "peer", default);
            await pair.Near.WriteAsync(Vectors.Bytes(hex));
            pair.Near.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            await serving.WaitAsync(Patience);
        }
    }

    [Fact]
    public async Task A_thousand_idle_connections_cost_little_memory()
    {
        var server = Server();
        using var stop = new CancellationTokenSource();
        // Each has sent a large compressed message, and has been silent since.
        var entries = Entries(new byte[1 << 20]);
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(entries);
        var message = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(message, 3);
        MessagePackWriter.WriteText(message, "t"u8);
        MessagePackWriter.WriteBinary(message, packed.ToArray());
        MessagePackWriter.WriteMapHeader(message, 2);
        MessagePackWriter.WriteText(message, "compressed"u8);
        MessagePackWriter.WriteText(message, "gzip"u8);
        MessagePackWriter.WriteText(message, "chunk"u8);
        MessagePackWriter.WriteText(message, "x"u8);
        var bytes = message.Written.ToArray();
        await Serve(10);
        var before = GC.GetTotalMemory(forceFullCollection: true);
        await Serve(1000);
        var each = (GC.GetTotalMemory(forceFullCollection: true) - before) / 1000;
        Assert.True(each < 32 * 1024, $"{each} bytes for each idle connection");
        await stop.CancelAsync();

        async Task Serve(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var stream = new OneMessageStream(bytes);
                _ = server.ServeAsync(stream, "peer", stop.Token);
                await stream.Silent.WaitAsync(Patience);
            }
        }
    }

    private static byte[] Entries(byte[] line)
    {
        var entries = new ByteBuffer();
        EntryWriter.Write(entries, 1_000_000_000, line, default, 0);
        return entries.Written.ToArray();
    }

    private static byte[] Message(string tag, byte[] line, string id)
    {
        var chunk = new ChunkWriter();
        chunk.Begin(Encoding.ASCII.GetBytes(tag));
        chunk.Add(1, line);
        return chunk.Finish(new ChunkOptions { Id = Encoding.ASCII.GetBytes(id) }).ToArray();
    }

    private ForwardServer Server(long budget = ForwardServer.BuffersBytesMaxDefault) =>
        new(static (_, _, _) => ValueTask.FromResult(true), _reports.Enqueue, time: _time, buffersBytesMax: budget);

    private async Task Until(Func<bool> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"waited in vain; reports: {string.Join(" | ", _reports)}");
            await Task.Delay(1);
        }
    }

    /// <summary>Knows how much was read, and whether a read waits.</summary>
    private sealed class CountingStream(Stream inner) : Stream
    {
        private int _read;

        public int BytesRead => Volatile.Read(ref _read);
        public bool IsReading { get; private set; }
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var reading = inner.ReadAsync(buffer, cancellationToken);
            IsReading = !reading.IsCompleted;
            var read = await reading;
            IsReading = false;
            Interlocked.Add(ref _read, read);
            return read;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(buffer, cancellationToken);

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Flush() => inner.Flush();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }
    }

    /// <summary>Gives its bytes and is silent from then on; one that is deaf takes none.</summary>
    private sealed class OneMessageStream(byte[] bytes) : Stream
    {
        private readonly TaskCompletionSource _silent = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _at;

        public bool IsDeaf { get; init; }
        public Task Silent => _silent.Task;
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_at == bytes.Length)
            {
                _silent.TrySetResult();
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            var count = Math.Min(buffer.Length, bytes.Length - _at);
            bytes.AsSpan(_at, count).CopyTo(buffer.Span);
            _at += count;
            return count;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            IsDeaf ? new ValueTask(Task.Delay(Timeout.Infinite, cancellationToken)) : default;

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
