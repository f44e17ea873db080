using System.Text.Json.Nodes;
using System.Xml.Linq;
using Hikyaku.Benchmarks.Comparison;
using Xunit;

namespace Hikyaku.Tests.Benchmarks;

public sealed class FiguresTests
{
    [Fact]
    public void Series_shows_the_median_with_the_least_and_the_most()
    {
        Assert.Equal("2.5 (1.0-9.0)", new Series(9, 2, 3, 1).Show("0.0"));
        Assert.Equal("1", new Series(1, 1.2).Show("0"));
        Assert.Equal("-", new Series().Show("0"));
    }

    [Fact]
    public void Line_through_points_of_a_line_is_that_line()
    {
        var line = StraightLine.Through([(1, 5), (2, 7), (4, 11)]);
        Assert.Equal((3.0, 2.0, 23.0), (line.AtZero, line.Slope, line.At(10)));
    }

    [Fact]
    public void Line_through_scattered_points_is_the_nearest()
    {
        Assert.Equal(0, StraightLine.Through([(0, 1), (1, 3), (2, 1), (3, 3), (4, 1)]).Slope, 9);
    }

    [Fact]
    public void Numbers_of_the_same_labels_are_a_series_and_warm_up_is_left_out()
    {
        var rows = Figures.Of([Run("a", 0, 100, 9), Run("a", 1, 10, 1), Run("b", 1, 20, 2), Run("a", 2, 30, 3)], "run", "system");
        Assert.Equal(["a", "b"], rows.Select(static r => r.Labels[0]));
        Assert.Equal("20 (10-30)", rows[0].Show("arrived_per_s", "0"));
        Assert.Equal("2", rows[1].Show("cpu_us all", "0"));
    }

    [Fact]
    public void Ratio_against_the_best_of_the_others_is_taken_round_by_round()
    {
        var table = ComparisonReport.Text([
            .. Rounds(Street.Passthrough, 60, 100), .. Rounds("rsyslog", 10, 5), .. Rounds("syslog-ng", 5, 20),
        ]);
        Assert.Contains("| passthrough: 4 writers x 128 B end to end, times the best of rsyslog and syslog-ng | at least 5.0 | 5.5 (5.0-6.0) | yes |", table, StringComparison.Ordinal);
        Assert.Contains("| direct: 4 writers x 128 B end to end, times the best of rsyslog and syslog-ng | at least 2.0 | - | not measured |", table, StringComparison.Ordinal);
    }

    [Fact]
    public void Picture_is_well_formed_and_longest_for_the_fastest()
    {
        var raw = new JsonObject
        {
            ["machine"] = "2 CPUs <&>", ["records"] = new JsonArray([.. Rounds(Street.Passthrough, 40, 80), .. Rounds("rsyslog", 10, 20)]),
        };
        var svg = XDocument.Parse(Picture.Comparison(raw)).Root!;
        var bars = svg.Descendants().Where(static e => e.Name.LocalName == "rect").Select(static e => double.Parse((string)e.Attribute("width")!)).Skip(1).ToArray();
        Assert.Equal(4, bars.Length);
        Assert.True(bars[0] > 3 * bars[1]);
        Assert.Contains("2 CPUs <&>", svg.Value, StringComparison.Ordinal);
        Assert.Contains("60", svg.Descendants().Select(static e => e.Value));
    }

    private static IEnumerable<JsonObject> Rounds(string system, params double[] thousands) => thousands.Select((t, i) => Run(system, i + 1, t * 1000, 1));

    private static JsonObject Run(string system, int round, double rate, double cpu) => JsonNode.Parse(new JsonObject
    {
        ["kind"] = "run", ["system"] = system, ["round"] = round, ["mode"] = "line", ["writers"] = 4, ["bytes"] = 128, ["arrived_per_s"] = rate, ["cpu_us"] = new JsonObject { ["all"] = cpu },
    }.ToJsonString())!.AsObject();
}
