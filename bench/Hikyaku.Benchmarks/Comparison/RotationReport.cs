using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>One table of all rounds.</summary>
internal sealed class RotationReport
{
    public static readonly string[] Faults = ["lost", "twice", "reordered", "damaged"];

    private readonly List<(string System, string Method, Dictionary<string, Series> Figures)> _rows = [];
    private readonly string _loadBefore = ComparisonReport.LoadAverage();

    public void Add(JsonNode run)
    {
        var (system, method) = ((string)run["system"]!, (string)run["method"]!);
        var figures = _rows.Find(r => r.System == system && r.Method == method).Figures;
        if (figures is null)
            _rows.Add((system, method, figures = new(StringComparer.Ordinal)));
        void Put(string name, double value)
        {
            if (!figures.TryGetValue(name, out var series))
                figures.Add(name, series = new Series());
            series.Add(value);
        }

        var lines = (double)run["written"]!["lines"]!;
        Put("lines", lines);
        foreach (var fault in Faults)
            Put(fault, (double)run["check"]![fault]!);
        Put("percent", (double)run["check"]!["lost"]! / lines * 100);
        Put("cut", (double)run["cut"]!);
        Put("seconds", (double)run["seconds"]!);
        Put("died", (bool)run["died"]! ? 1 : 0);
    }

    public string Table(RotationOptions options)
    {
        var text = new StringBuilder();
        void Line(string line) => text.Append(line).Append('\n');

        Line("# Rotation under load");
        Line("");
        Line($"{ComparisonReport.Machine()}; load average {_loadBefore} before, {ComparisonReport.LoadAverage()} after. {options.Rounds} rounds; {RotationRun.Writers} writers, "
            + $"{options.Rate.ToString("N0", CultureInfo.InvariantCulture)} lines a second, {options.Seconds} seconds, a rotation every 0.5 s. Median (least-most).");
        Line("");
        Line("| method | system | lines written | lost | % | twice | out of order | damaged | last line after s | cut off by the method | crashed |");
        Line("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var (system, method, f) in _rows)
            Line($"| {method} | {system} | {f["lines"].Median.ToString("0", CultureInfo.InvariantCulture)} | {f["lost"].Show("0")} | {f["percent"].Show("0.0")} | {f["twice"].Show("0")} | {f["reordered"].Show("0")} | {f["damaged"].Show("0")} | {f["seconds"].Show("0.0")} | {f["cut"].Show("0")} | {f["died"].Sum.ToString("0", CultureInfo.InvariantCulture)} |");
        return text.ToString();
    }
}
