using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The tables of bench/compare/run, from its records.</summary>
internal static class ComparisonReport
{
    private const int Mode = 0, Writers = 1, Bytes = 2, System = 3;

    private static readonly (int Bytes, double Line, double Block, double Cpu)[] Wanted =
        [(10, 475_638, 937_779, 1.5), (128, 292_382, 2_000_000, 1.5), (1024, 158_112, 219_578, 4), (4096, 20_766, 64_943, 12)];

    public static string Text(JsonObject[] records)
    {
        var text = new Markdown();
        var rows = Figures.Of(records, "run", "mode", "writers", "bytes", "system");
        foreach (var part in rows.GroupBy(static r => r.Labels[Mode]))
        {
            text.Title(part.Key == Shape.Line ? "One line per write(2)" : "64 KiB of whole lines per write(2)");
            Lines(text, [.. part]);
            Cpu(text, [.. part]);
        }

        var pairs = Figures.Of(records, "pair", "floor", "system", "lines");
        text.Title("write(2) of 128 bytes, one writer, in pairs of windows");
        text.Table(["floor ", "system ", "lines a window", "pairs", "p50 us: floor", "system", "ratio"], pairs.Select(static p =>
            new[] { p.Labels[0], p.Labels[1], p.Labels[2], $"{p["ratio"].Count}", p.Show("floor_us", "0.00"), p.Show("system_us", "0.00"), p.Show("ratio", "0.000") }));
        Target.Table(text, Targets(rows, pairs));
        return text.ToString();
    }

    private static void Lines(Markdown text, List<Figures> rows) => text.Table(
        ["writers", "bytes", "system ", "write(2) p50 us", "p99 us", "k lines/s written", "k lines/s end to end", "MB/s", "CPU us/line without writers", "peak MiB", "of it private", "lost/twice/reordered"],
        rows.Select(static r => new[]
        {
            r.Labels[Writers], r.Labels[Bytes], r.Labels[System], r.Show("p50_us", "0.00"), r.Show("p99_us", "0.0"), r.Show("written_per_s", "0.0", 1e-3), r.Show("arrived_per_s", "0.0", 1e-3),
            r.Show("mb_per_s", "0.0"), r.Show("cpu_us all", "0.00"), r.Show("peak_mib", "0"), r.Show("own_mib", "0"),
            r["lost"].Count == 0 ? "" : $"{r["lost"].Sum:0}/{r["twice"].Sum:0}/{r["reordered"].Sum:0}{(r["damaged"].Sum > 0 ? $", damaged {r["damaged"].Sum:0}" : "")}",
        }));

    private static void Cpu(Markdown text, List<Figures> rows)
    {
        var roles = rows.SelectMany(static r => r.Below("cpu_us")).Distinct().Where(static r => r is not ("all" or "elsewhere")).Append("elsewhere").ToArray();
        text.Text("CPU us per line by process. *Elsewhere* is what the machine used beyond all of them: kernel threads (writeback, network), which are counted for nobody, and other programs.");
        text.Table(["writers", "bytes", "system ", .. roles], rows.Select(r => (string[])[r.Labels[Writers], r.Labels[Bytes], r.Labels[System], .. roles.Select(role => r.Show("cpu_us " + role, "0.00"))]));
    }

    private static IEnumerable<Target> Targets(List<Figures> rows, List<Figures> pairs)
    {
        Series Of(string mode, int writers, int bytes, string system, string figure) =>
            rows.Find(r => r.Labels.SequenceEqual([mode, $"{writers}", $"{bytes}", system]))?[figure] ?? new Series();
        Series Pair(string system) => pairs.Find(p => p.Labels[1] == system)?["ratio"] ?? new Series();
        Series AgainstPeers(string system)
        {
            var best = new[] { "rsyslog", "syslog-ng" }.Select(p => Of(Shape.Line, 4, 128, p, "arrived_per_s")).Where(static s => s.Count > 0)
                .Aggregate(default(Series), static (a, b) => a?.With(b, Math.Max) ?? b);
            return best is null ? new Series() : Of(Shape.Line, 4, 128, system, "arrived_per_s").With(best, static (ours, theirs) => ours / theirs);
        }

        yield return new("direct: write(2) p50 at 128 B against the null FUSE daemon", 1.10, AtMost: true, Pair(Street.Direct));
        yield return new("passthrough: write(2) p50 at 128 B against the plain directory", 1.5, AtMost: true, Pair(Street.Passthrough));
        yield return new("passthrough: 4 writers x 128 B end to end, times the best of rsyslog and syslog-ng", 5, AtMost: false, AgainstPeers(Street.Passthrough), "0.0");
        yield return new("direct: 4 writers x 128 B end to end, times the best of rsyslog and syslog-ng", 2, AtMost: false, AgainstPeers(Street.Direct), "0.0");
        foreach (var (bytes, line, _, _) in Wanted)
            yield return new($"passthrough: 4 writers x {bytes} B, a line a write, end to end lines/s", line, AtMost: false, Of(Shape.Line, 4, bytes, Street.Passthrough, "arrived_per_s"), "0");
        foreach (var system in new[] { Street.Direct, Street.Passthrough })
        {
            foreach (var (bytes, _, block, _) in Wanted)
                yield return new($"{system["Hikyaku ".Length..]}: 4 writers x {bytes} B, 64 KiB a write, end to end lines/s", block, AtMost: false, Of(Shape.Block, 4, bytes, system, "arrived_per_s"), "0");
        }

        foreach (var (bytes, _, _, cpu) in Wanted)
            yield return new($"passthrough: 4 writers x {bytes} B, a line a write, CPU us/line of agent and collector", cpu, AtMost: true, Of(Shape.Line, 4, bytes, Street.Passthrough, "cpu_us all"));
    }
}
