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
