using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class ConnectionTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly BlockingCollection<string> acks = [];
    private readonly ConcurrentQueue<string> reports = new();

    [Fact]
    public async Task Many_chunks_in_flight_are_acked_by_id()
    {
        using var stop = new CancellationTokenSource();
        var received = 0;
        using var listener = Listen();
        var running = listener.RunAsync(
            new ForwardServer((_, peer, _) => ValueTask.FromResult(peer.Address == "127.0.0.1" && Interlocked.Increment(ref received) > 0), reports.Enqueue),
            stop.Token);
        await using (var connection = new ForwardConnection(await DialAsync(listener), Acked))
        {
            var chunk = new ChunkWriter();
            for (var i = 0; i < 100; i++)
            {
                chunk.Begin("t"u8);
                chunk.Add(1, "line"u8);
                await connection.SendAsync(chunk.Finish(new ChunkOptions
                {
                    Id = Encoding.ASCII.GetBytes($"id-{i}"), Origin = Guid.Empty, Route = "r"u8, Number = (ulong)i + 1,
                }));
            }
            for (var i = 0; i < 100; i++)
                Assert.True(acks.TryTake(out var id, Patience) && id == $"id-{i}", id);
            Assert.Equal(Ack.Ours, connection.PeerVersion);
        }
        Assert.Equal(100, received);
        await stop.CancelAsync();
        await running.WaitAsync(Patience);
        Assert.Empty(reports);
    }

    [Fact]
    public async Task Acks_in_pieces_and_from_foreign_receivers_are_read()
    {
        using var pair = await ConnectedPair.CreateAsync();
        await using var connection = new ForwardConnection(new TricklingStream(pair.Near, 1), Acked);
        await pair.Far.WriteAsync(Vectors.Bytes(Vectors.AckOfPackedFluentd, "81a361636bcd3039"));
        Assert.Equal("p8n9gmxTQVC8/nh2wlKKeQ==\n", acks.Take());
        Assert.Equal("\u00cd09", acks.Take());
        Assert.Equal(0, connection.PeerVersion);
    }

    [Theory]
    [InlineData("92a448454c4f80", "shared key")]
    [InlineData("485454502f312e312034", "HTTP/1.1 4")]
    [InlineData("c1", "\\xc1")]
    [InlineData("", "closed by the receiver")]
    public async Task An_answer_that_is_no_ack_ends_the_connection_with_a_reason(string hex, string reason)
    {
        using var pair = await ConnectedPair.CreateAsync();
        await using var connection = new ForwardConnection(pair.Near, Acked);
        await pair.Far.WriteAsync(Vectors.Bytes(hex));
        pair.Far.Dispose();
        Assert.Contains(reason, await connection.Closed.WaitAsync(Patience), StringComparison.Ordinal);
        Assert.Contains(reason, (await Assert.ThrowsAsync<ForwardException>(() => connection.SendAsync(new byte[1]).AsTask())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_endless_answer_is_bounded()
    {
        using var pair = await ConnectedPair.CreateAsync();
        await using var connection = new ForwardConnection(pair.Near, Acked);
        await pair.Far.WriteAsync(Vectors.Bytes("81a361636bdb7fffffff"));
        await pair.Far.WriteAsync(new byte[70_000]);
        Assert.Contains("65536 bytes", await connection.Closed.WaitAsync(Patience), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_the_first_reason_counts()
    {
        using var pair = await ConnectedPair.CreateAsync();
        var connection = new ForwardConnection(pair.Near, Acked);
        connection.Close("no ack within 10 s");
        connection.Close("something later");
        await connection.DisposeAsync();
        Assert.Equal("no ack within 10 s", await connection.Closed);
    }

    [Fact]
    public async Task A_receiver_that_reads_nothing_lets_a_send_be_given_up()
    {
        using var pair = await ConnectedPair.CreateAsync();
        await using var connection = new ForwardConnection(pair.Near, Acked);
        using var given = new CancellationTokenSource();
        var sending = connection.SendAsync(new byte[64 << 20], given.Token).AsTask();
        Assert.False(sending.IsCompleted);
        await given.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.Equal("a send was given up", await connection.Closed.WaitAsync(Patience));
    }

    [Theory]
    [InlineData(new byte[0])]
    [InlineData(new byte[] { 0 })]
    public async Task A_UDP_heartbeat_is_answered(byte[] heartbeat)
    {
        using var stop = new CancellationTokenSource();
        using var listener = Listen();
        var running = listener.RunAsync(new ForwardServer((_, _, _) => ValueTask.FromResult(true), reports.Enqueue), stop.Token);
        using var udp = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        await udp.ConnectAsync(listener.EndPoint);
        await udp.SendAsync(heartbeat);
        var answer = new byte[10];
        Assert.Equal(1, await udp.ReceiveAsync(answer).WaitAsync(Patience));
        Assert.Equal(0, answer[0]);
        await stop.CancelAsync();
        await running.WaitAsync(Patience);
    }

    [Fact]
    public void A_port_in_use_is_named_with_the_way_out()
    {
        using var listener = Listen();
        var e = Assert.Throws<ForwardException>(() => ForwardListener.Open(new ForwardAddress("127.0.0.1", listener.EndPoint.Port), reports.Enqueue));
        Assert.Contains($"127.0.0.1:{listener.EndPoint.Port}", e.Message, StringComparison.Ordinal);
        Assert.Contains("in use by another program", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_of_another_machine_is_named_with_the_way_out()
    {
        var e = Assert.Throws<ForwardException>(() => ForwardListener.Open(new ForwardAddress("192.0.2.1", 0), reports.Enqueue));
        Assert.Contains("192.0.2.1", e.Message, StringComparison.Ordinal);
        Assert.Contains("no such address", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_listening_is_named()
    {
        int port;
        using (var listener = Listen())
            port = listener.EndPoint.Port;
        var e = await Assert.ThrowsAsync<ForwardException>(() => new ForwardAddress("127.0.0.1", port).DialAsync(default).AsTask());
        Assert.Contains($"cannot connect to 127.0.0.1:{port}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connections_over_the_limit_are_closed_and_reported_once()
    {
        using var stop = new CancellationTokenSource();
        using var listener = ForwardListener.Open(new ForwardAddress("127.0.0.1", 0), reports.Enqueue, connectionsMax: 1);
        var running = listener.RunAsync(new ForwardServer((_, _, _) => ValueTask.FromResult(true), reports.Enqueue), stop.Token);
        using (var first = await DialAsync(listener))
        {
            await first.WriteAsync(Vectors.Bytes(Vectors.MessageChunk));
            await first.ReadExactlyAsync(new byte[Vectors.AckOfMessageChunk.Length / 2]);
            for (var i = 0; i < 3; i++)
            {
                using var refused = await DialAsync(listener);
                Assert.Equal(0, await refused.ReadAsync(new byte[1]).AsTask().WaitAsync(Patience));
            }
        }
        Assert.Contains("1 connections, the most allowed", Assert.Single(reports), StringComparison.Ordinal);
        await stop.CancelAsync();
        await running.WaitAsync(Patience);
    }

    [Theory]
    [InlineData("a.example:1", "a.example", 1, "a.example:1")]
    [InlineData("a.example", "a.example", 24224, "a.example:24224")]
    [InlineData("0.0.0.0:24224", "0.0.0.0", 24224, "0.0.0.0:24224")]
    [InlineData("[::1]:7", "::1", 7, "[::1]:7")]
    [InlineData("[::]", "::", 24224, "[::]:24224")]
    [InlineData("fe80::1", "fe80::1", 24224, "[fe80::1]:24224")]
    [InlineData(":5", "*", 5, "*:5")]
    public void An_address_is_parsed(string text, string host, int port, string again)
    {
        Assert.True(ForwardAddress.TryParse(text, out var address, out _));
        Assert.Equal(new ForwardAddress(host, port), address);
        Assert.Equal(again, address.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:")]
    [InlineData("a:b")]
    [InlineData("a:70000")]
    [InlineData("a:-1")]
    [InlineData("[::1]7")]
    [InlineData("[::1")]
    [InlineData("http://a:1")]
    [InlineData("a b:1")]
    public void What_is_no_address_is_quoted_with_what_is_expected(string text)
    {
        Assert.False(ForwardAddress.TryParse(text, out _, out var problem));
        Assert.Contains($"'{text}'", problem, StringComparison.Ordinal);
        Assert.Contains("expected", problem, StringComparison.Ordinal);
    }

    private ForwardListener Listen() => ForwardListener.Open(new ForwardAddress("127.0.0.1", 0), reports.Enqueue);

    private static ValueTask<Stream> DialAsync(ForwardListener listener) => new ForwardAddress("127.0.0.1", listener.EndPoint.Port).DialAsync(default);

    private void Acked(ReadOnlySpan<byte> id) => acks.Add(Encoding.Latin1.GetString(id));
}
