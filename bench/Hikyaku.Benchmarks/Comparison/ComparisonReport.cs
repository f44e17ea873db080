using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Collects the figures of all rounds and makes the table of them.</summary>
internal sealed class ComparisonReport
{
    private static readonly string[] Faults = ["lost", "twice", "reordered", "damaged"];

    private readonly SortedDictionary<(int Writers, int Bytes), List<(string System, Dictionary<string, Series> Figures)>> _runs = [];
    private readonly List<string> _roles = [];
    private readonly Dictionary<string, (Series Idle, Series OwnIdle, Series After, Series OwnAfter, Series Peak)> _memory = new(StringComparer.Ordinal);
    private readonly (Series Floor, Series Hikyaku, Series Ratio) _pairs = (new(), new(), new());
    private readonly long[] _faults = new long[Faults.Length];
    private readonly string _loadBefore = LoadAverage();
    private long _checked;
    private long _failed;
    private JsonNode? _latency;

    /// <summary>No write failed, and every line arrived once and in order.</summary>
    public bool IsWhole => _failed == 0 && _faults.All(static f => f == 0);

    public void Add(JsonNode run)
    {
        _failed += (long)run["write"]!["total"]!["failed"]!;
        if (run["check"] is { } check)
        {
            _checked += (long)check["lines"]!;
            for (var i = 0; i < Faults.Length; i++)
                _faults[i] += (long)check[Faults[i]]!;
        }

        if ((int)run["round"]! <= 0)
            return;
        var key = ((int)run["writers"]!, (int)run["bytes"]!);
        if (!_runs.TryGetValue(key, out var systems))
            _runs.Add(key, systems = []);
        var system = (string)run["system"]!;
        var figures = systems.Find(s => s.System == system).Figures;
        if (figures is null)
            systems.Add((system, figures = new(StringComparer.Ordinal)));
        void Put(string name, double value)
        {
            if (!figures.TryGetValue(name, out var series))
                figures.Add(name, series = new Series());
            series.Add(value);
        }

        var total = run["write"]!["total"]!;
        var lines = (double)run["lines"]!;
        Put("p50", (double)total["p50_ns"]! / 1000);
        Put("p99", (double)total["p99_ns"]! / 1000);
        Put("lines", (double)total["lines_per_s"]! / 1000);
        if (run["end_to_end_seconds"] is { } seconds)
            Put("end", lines / (double)seconds / 1000);
        var sum = 0.0;
        foreach (var (role, value) in run["cpu_us"]!.AsObject())
        {
            sum += (double)value!;
            Put("cpu " + role, (double)value! / lines);
            if (!_roles.Contains(role))
                _roles.Add(role);
        }

        Put("cpu", sum / lines);
    }

    public void Memory(string role, bool idle, ProcessFigures figures)
    {
        if (!_memory.TryGetValue(role, out var series))
            _memory.Add(role, series = (new(), new(), new(), new(), new()));
        (idle ? series.Idle : series.After).Add(figures.Resident / 1024.0);
        (idle ? series.OwnIdle : series.OwnAfter).Add(figures.Own / 1024.0);
        if (!idle)
            series.Peak.Add(figures.Peak / 1024.0);
    }

    public void Pair(double floor, double hikyaku)
    {
        _pairs.Floor.Add(floor / 1000);
        _pairs.Hikyaku.Add(hikyaku / 1000);
        _pairs.Ratio.Add(hikyaku / floor);
    }

    public void Latency(JsonNode figures) => _latency = figures;

    public string Table(ComparisonOptions options)
    {
        var text = new StringBuilder();
        void Line(string line) => text.Append(line).Append('\n');

        Line("# Hikyaku beside a plain directory and a null FUSE daemon");
        Line("");
        Line($"{Machine()}; load average {_loadBefore} before, {LoadAverage()} after. {options.Rounds} rounds, {options.Lines} lines per run (a quarter at 4096 bytes). Median (least-most).");
        Line("");
        Line("## Lines");
        Line("");
        Line("| writers | bytes | system | write(2) p50 us | p99 us | k lines/s written | k lines/s end to end | CPU us/line, all processes |");
        Line("|---:|---:|---|---:|---:|---:|---:|---:|");
        foreach (var ((writers, bytes), systems) in _runs)
        {
            foreach (var (system, f) in systems)
                Line($"| {writers} | {bytes} | {system} | {Show(f, "p50", "0.00")} | {Show(f, "p99", "0.0")} | {Show(f, "lines", "0.0")} | {Show(f, "end", "0.0")} | {Show(f, "cpu", "0.00")} |");
        }

        Line("");
        Line("## CPU us per line, by process");
        Line("");
        Line($"| writers | bytes | system | {string.Join(" | ", _roles)} |");
        Line("|---:|---:|---|" + string.Concat(Enumerable.Repeat("---:|", _roles.Count)));
        foreach (var ((writers, bytes), systems) in _runs)
        {
            foreach (var (system, f) in systems)
                Line($"| {writers} | {bytes} | {system} | {string.Join(" | ", _roles.Select(role => Show(f, "cpu " + role, "0.00")))} |");
        }

        Line("");
        Line("## Memory, MiB");
        Line("");
        Line("What is not private is mapped files: the program itself, and the segments of the log that are in use.");
        Line("");
        Line("| process | resident, idle after start | of it private | resident after the load | of it private | peak resident |");
        Line("|---|---:|---:|---:|---:|---:|");
        foreach (var (role, m) in _memory)
            Line($"| {role} | {m.Idle.Show("0.0")} | {m.OwnIdle.Show("0.0")} | {m.After.Show("0.0")} | {m.OwnAfter.Show("0.0")} | {m.Peak.Show("0.0")} |");
        Line("");
        Line("## write(2) at 128 bytes, one writer, in pairs of windows");
        Line("");
        Line(double.IsNaN(_pairs.Ratio.Median)
            ? "Not measured: the null FUSE daemon mounts as root only."
            : $"p50 us: null daemon {_pairs.Floor.Show("0.00")}, Hikyaku {_pairs.Hikyaku.Show("0.00")}; ratio {_pairs.Ratio.Show("0.000")} over {options.Pairs} pairs of {options.PairLines} lines.");
        Line("");
        Line("## One line on an idle system, write(2) to visible in the collector's file");
        Line("");
        Line(_latency is null
            ? "Not measured."
            : string.Create(CultureInfo.InvariantCulture,
                $"Median {(double)_latency["median_us"]!:0} us, p99 {(double)_latency["p99_us"]!:0} us, {(double)_latency["min_us"]!:0}-{(double)_latency["max_us"]!:0} us, {_latency["count"]} lines; the first {(double)_latency["first_us"]!:0} us."));
        Line("");
        Line("## What arrived");
        Line("");
        Line($"{_checked} lines compared; failed writes {_failed}, {string.Join(", ", Faults.Select((name, i) => $"{name} {_faults[i]}"))}.");
        return text.ToString();
    }

    private static string Show(Dictionary<string, Series> figures, string name, string format) =>
        figures.TryGetValue(name, out var series) ? series.Show(format) : "";

    public static string LoadAverage() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    public static string Machine()
    {
        var model = File.ReadLines("/proc/cpuinfo").FirstOrDefault(static l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(": ")[1] ?? "unknown CPU";
        return $"{Environment.ProcessorCount} CPUs ({model}), kernel {Environment.OSVersion.Version}, {DateTime.Now:yyyy-MM-dd}";
    }
}
