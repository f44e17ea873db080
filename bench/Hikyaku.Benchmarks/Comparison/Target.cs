using System.Globalization;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A figure to reach.</summary>
/// <param name="What">What is measured.</param>
/// <param name="Limit">The figure.</param>
/// <param name="AtMost">Whether less is better.</param>
/// <param name="Measured">Round by round; empty if it was not measured.</param>
/// <param name="Format">How figures are shown.</param>
internal sealed record Target(string What, double Limit, bool AtMost, Series Measured, string Format = "0.00")
{
    private string Verdict => Measured.Count == 0 ? "not measured" : (AtMost ? Measured.Median <= Limit : Measured.Median >= Limit) ? "yes" : "no";

    public static void Table(Markdown text, IEnumerable<Target> targets) => text.Title("Targets").Table(["what ", "target", "measured", "met "],
        targets.Select(static t => new[] { t.What, (t.AtMost ? "at most " : "at least ") + t.Limit.ToString(t.Format, CultureInfo.InvariantCulture), t.Measured.Show(t.Format), t.Verdict }));
}
