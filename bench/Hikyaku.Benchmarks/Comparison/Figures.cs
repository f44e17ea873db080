using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Every number of the records that have the same labels, as a series over the rounds.</summary>
internal sealed class Figures
{
    private readonly Dictionary<string, Series> _series = new(StringComparer.Ordinal);

    private Figures(string[] labels) => Labels = labels;

    public string[] Labels { get; }

    /// <summary>An inner one is named "outer inner". Empty if there is no such figure.</summary>
    public Series this[string name] => _series.GetValueOrDefault(name) ?? new Series();

    /// <summary>The names of the figures below one name, in the order in which they came.</summary>
    public IEnumerable<string> Below(string name) => _series.Keys.Where(k => k.StartsWith(name + " ", StringComparison.Ordinal)).Select(k => k[(name.Length + 1)..]);

    public string Show(string name, string format, double factor = 1) => _series.ContainsKey(name) ? this[name].Times(factor).Show(format) : "";

    /// <summary>Grouped by labels, in the order in which they came; round 0 is left out.</summary>
    public static List<Figures> Of(IEnumerable<JsonObject> records, string kind, params string[] labels)
    {
        var rows = new List<Figures>();
        foreach (var record in records.Where(r => (string)r["kind"]! == kind && r["round"] is { } round && (int)round > 0))
        {
            var own = labels.Select(l => record[l]?.ToString() ?? "").ToArray();
            var row = rows.Find(r => r.Labels.SequenceEqual(own));
            if (row is null)
                rows.Add(row = new Figures(own));
            row.Add(record, "");
        }

        return rows;
    }

    private void Add(JsonObject figures, string prefix)
    {
        foreach (var (name, value) in figures)
        {
            if (value is JsonObject inner)
                Add(inner, prefix + name + " ");
            else if (value?.GetValueKind() == System.Text.Json.JsonValueKind.Number)
                Series(prefix + name).Add((double)value);
        }
    }

    private Series Series(string name) => _series.TryGetValue(name, out var series) ? series : _series[name] = new Series();
}
