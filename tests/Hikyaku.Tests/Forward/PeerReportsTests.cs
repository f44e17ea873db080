using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class PeerReportsTests
{
    private readonly SteppedTime _time = new();
    private readonly List<string> _lines = [];

    [Fact]
    public void All_addresses_of_a_network_of_IPv6_are_one_peer()
    {
        var reports = new PeerReports(_lines.Add, _time, "!");
        for (var i = 1; i < 9; i++)
            reports.Tell($"2001:db8:0:1:{i}::{i}", "trouble");
        reports.Tell("2001:db8:0:2::1", "trouble");
        reports.Tell("10.0.0.1", "trouble");
        reports.Tell("10.0.0.2", "trouble");
        Assert.Equal(["2001:db8:0:1:1::1: trouble!", "2001:db8:0:2::1: trouble!", "10.0.0.1: trouble!", "10.0.0.2: trouble!"], _lines);
        _time.Advance(TimeSpan.FromMinutes(1));
        reports.Well("2001:db8:0:1::77");
        reports.Tell("2001:db8:0:1:1::1", "trouble");
        Assert.Equal(5, _lines.Count);
    }

    [Fact]
    public void Many_peers_in_trouble_are_a_few_lines_a_minute_and_the_rest_is_counted()
    {
        var reports = new PeerReports(_lines.Add, _time);
        for (var i = 0; i < 200; i++)
            reports.Tell($"10.0.0.{i}", "trouble");
        Assert.Equal(PeerReports.LinesMax + 1, _lines.Count);
        Assert.Equal("60 reports about peers within a minute; more are left out, and counted", _lines[^1]);
        _time.Advance(TimeSpan.FromMinutes(1));
        reports.Tell("10.0.0.0", "trouble");
        reports.Tell("10.0.0.199", "trouble");
        Assert.Equal(["140 reports about peers were left out", "10.0.0.199: trouble"], _lines[^2..]);
    }
}
