using System.Net;
using System.Net.Sockets;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class AllowListTests
{
    private readonly SteppedTime _time = new();
    private readonly Dictionary<string, IPAddress[]?> _dns = new(StringComparer.Ordinal);
    private int _asked;

    [Theory]
    [InlineData("10.0.0.0/8", "10.255.0.1", true)]
    [InlineData("10.0.0.0/8", "11.0.0.1", false)]
    [InlineData("10.1.2.3/8", "10.9.9.9", true)]
    [InlineData("10.0.0.0/8", "::ffff:10.1.1.1", true)]
    [InlineData("::ffff:10.0.0.0/104", "10.1.1.1", true)]
    [InlineData("::ffff:10.0.0.0/104", "11.1.1.1", false)]
    [InlineData("192.0.2.7", "192.0.2.7", true)]
    [InlineData("192.0.2.7", "192.0.2.6", false)]
    [InlineData("192.0.2.6/31", "192.0.2.7", true)]
    [InlineData("0.0.0.0/0", "8.8.8.8", true)]
    [InlineData("0.0.0.0/0", "2001:db8::1", false)]
    [InlineData("::/0", "2001:db8::1", true)]
    [InlineData("::/0", "8.8.8.8", false)]
    [InlineData("2001:db8::/33", "2001:db8:7fff::1", true)]
    [InlineData("2001:db8::/33", "2001:db8:8000::1", false)]
    [InlineData("fe80::/10", "fe80::1%1", true)]
    public async Task Addresses_are_in_networks_or_not(string written, string address, bool isAllowed)
    {
        Assert.True(AllowList.TryParseNetwork(written, out var network));
        Assert.Equal(isAllowed, await new AllowList([network], [], Lookup, _time).AllowsAsync(IPAddress.Parse(address), default));
    }

    [Theory]
    [InlineData("10.1")]
    [InlineData("10")]
    [InlineData("10.0.0.0/33")]
    [InlineData("010.0.0.0/8")]
    [InlineData("0x0a.0.0.0/8")]
    [InlineData("10.0.0.0x1")]
    [InlineData("::ffff:010.0.0.1")]
    [InlineData("10.0.0.0/")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("::/129")]
    [InlineData("fe80::1%eth0")]
    [InlineData("::ffff:10.0.0.0/8")]
    [InlineData("web1")]
    public void What_is_no_network_is_not_taken_for_one(string written) => Assert.False(AllowList.TryParseNetwork(written, out _));

    [Fact]
    public async Task A_name_allows_the_addresses_it_has_and_is_not_asked_for_each_connection()
    {
        _dns["web1"] = [IPAddress.Parse("10.0.0.1"), IPAddress.Parse("::ffff:10.0.0.2")];
        var list = new AllowList([], ["web1", "web2"], Lookup, _time);
        Assert.True(await Allows(list, "10.0.0.1"));
        Assert.True(await Allows(list, "10.0.0.2"));
        Assert.False(await Allows(list, "10.0.0.3"));
        for (var i = 0; i < 100; i++)
            Assert.False(await Allows(list, $"10.1.1.{i}"));
        Assert.Equal(2, _asked);
        // A stranger waits at most until the next round.
        _dns["web2"] = [IPAddress.Parse("10.0.0.3")];
        _time.Advance(AllowList.LookupPause);
        Assert.True(await Allows(list, "10.0.0.3"));
        Assert.Equal(4, _asked);
    }

    [Fact]
    public async Task A_name_that_moved_is_followed_and_one_that_does_not_answer_counts_on()
    {
        _dns["web1"] = [IPAddress.Parse("10.0.0.1")];
        var list = new AllowList([], ["web1"], Lookup, _time);
        Assert.True(await Allows(list, "10.0.0.1"));
        _dns["web1"] = null;
        _time.Advance(AllowList.FreshTime);
        Assert.True(await Allows(list, "10.0.0.1"));
        _dns["web1"] = [IPAddress.Parse("10.0.0.2")];
        _time.Advance(AllowList.FreshTime);
        Assert.False(await Allows(list, "10.0.0.1"));
        Assert.True(await Allows(list, "10.0.0.2"));
        _dns.Remove("web1");
        _time.Advance(AllowList.FreshTime);
        Assert.False(await Allows(list, "10.0.0.2"));
    }

    [Fact]
    public async Task Name_servers_that_are_silent_hold_two_lookups_and_nobody_who_is_known()
    {
        var silent = new TaskCompletionSource<IPAddress[]>();
        var isSilent = false;
        var running = 0;
        var most = 0;
        async Task<IPAddress[]> LookUpSlowly(string host, CancellationToken cancellation)
        {
            most = Math.Max(most, Interlocked.Increment(ref running));
            var found = isSilent ? await silent.Task : [IPAddress.Parse("10.0.0." + host[3..])];
            Interlocked.Decrement(ref running);
            return found;
        }

        var list = new AllowList([], [.. Enumerable.Range(1, 20).Select(static i => $"web{i}")], LookUpSlowly, _time);
        Assert.True(await Allows(list, "10.0.0.20"));
        isSilent = true;
        for (var i = 0; i < 3; i++)
        {
            _time.Advance(AllowList.FreshTime);
            var stranger = Allows(list, "192.0.2.1");
            var known = Allows(list, "10.0.0.7");
            await Until(() => running == 2);
            await Until(() => _time.IsAwaited(TimeSpan.FromSeconds(5)));
            _time.Advance(TimeSpan.FromSeconds(6));
            Assert.False(await stranger);
            Assert.True(await known);
        }
        Assert.Equal((2, 2), (running, most));
        isSilent = false;
        silent.SetResult([IPAddress.Parse("192.0.2.1")]);
        Assert.True(await Allows(list, "192.0.2.1"));
        Assert.Equal((0, 2), (running, most));
    }

    [Fact]
    public async Task Strangers_have_few_places_and_leave_them()
    {
        var reports = new List<string>();
        var silent = new TaskCompletionSource<IPAddress[]>();
        var admission = new Admission(new AdmissionSettings { Names = ["web1"] }, "server", (_, _) => silent.Task, static _ => { }, _time, reports.Add);
        var server = new ForwardServer(static (_, _, _) => ValueTask.FromResult(true), reports.Add, time: _time, admission: admission);
        using var stop = new CancellationTokenSource();
        var pairs = new List<ConnectedPair>();
        var serving = new List<Task>();
        async Task ConnectAsync(string peer)
        {
            var pair = await ConnectedPair.CreateAsync();
            pairs.Add(pair);
            serving.Add(server.ServeAsync(pair.Far, peer, stop.Token));
        }

        // One network of IPv6, whatever address of it.
        for (var i = 0; i < 20; i++)
            await ConnectAsync($"2001:db8::{i + 1:x}");
        Assert.Equal((16, 4), (server.Strangers, serving.Count(t => t.IsCompleted)));
        for (var i = 0; i < 120; i++)
            await ConnectAsync($"10.0.0.{i}");
        Assert.Equal((128, 12), (server.Strangers, serving.Count(t => t.IsCompleted)));
        Assert.Contains("2001:db8::11: has 16 connections that have not proved who they are, the most allowed; this one is refused; connection closed", reports);
        Assert.Contains("10.0.0.112: 128 connections have not proved who they are, the most allowed; this one is refused; connection closed", reports);
        // The first is web1.
        silent.SetResult([IPAddress.Parse("2001:db8::1")]);
        await Until(() => server.Strangers == 0);
        await Until(() => serving.Count(t => !t.IsCompleted) == 1);
        Assert.Equal(1, admission.Status().Inside);
        await stop.CancelAsync();
        await Task.WhenAll(serving).WaitAsync(TimeSpan.FromSeconds(30));
        pairs.ForEach(static p => p.Dispose());
    }

    [Fact]
    public async Task Who_may_not_connect_is_closed_at_once_counted_and_named_once()
    {
        var reports = new List<string>();
        Assert.True(AllowList.TryParseNetwork("10.0.0.0/8", out var network));
        var admission = new Admission(new AdmissionSettings { Networks = [network], SharedKey = new Secret("k") }, "server", Lookup, static _ => { }, _time, reports.Add);
        var server = new ForwardServer(static (_, _, _) => ValueTask.FromResult(true), reports.Add, admission: admission);
        foreach (var peer in new[] { "192.0.2.1", "192.0.2.1", "192.0.2.2" })
        {
            using var pair = await ConnectedPair.CreateAsync();
            await server.ServeAsync(pair.Far, peer, default).WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Equal(0, await pair.Near.ReadAsync(new byte[100]));
        }
        Assert.Equal(["192.0.2.1: may not connect (receive.forward.allow); connection closed", "192.0.2.2: may not connect (receive.forward.allow); connection closed"], reports);
        Assert.Equal((3, 0), (admission.Status().NotAllowed, admission.Status().Refused));
    }

    private static async Task Until(Func<bool> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition())
            await Task.Delay(1, limit.Token);
    }

    private static Task<bool> Allows(AllowList list, string address) => list.AllowsAsync(IPAddress.Parse(address), default).AsTask().WaitAsync(TimeSpan.FromSeconds(30));

    // Null: no answer.
    private Task<IPAddress[]> Lookup(string host, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _asked);
        return _dns.TryGetValue(host, out var found)
            ? found is null ? throw new SocketException((int)SocketError.TryAgain) : Task.FromResult(found)
            : throw new SocketException((int)SocketError.HostNotFound);
    }
}
