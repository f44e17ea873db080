using System.Globalization;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The pictures of the README and the pages, from raw figures.</summary>
internal static class Picture
{
    public const string Usage = """
        bench/compare/picture RAW [--out FILE]
        Draws what bench/compare/run or bench/compare/scale has measured, as SVG.
            RAW         the raw.json of one of them
            --out FILE  where to (default docs/performance.svg, or docs/scaling.svg for scale)
        """;

    private const int Width = 800;
    private const int Left = 180;
    private const int Bar = 24;
    private const int LineBytes = 128;
    private const string Ink = "#1f2328";
    private const string Grey = "#8c959f";
    private const string Pale = "#d8dee4";

    public static bool Run(Arguments arguments, CancellationToken cancel)
    {
        var file = arguments.Word() ?? throw new UsageException("RAW is missing");
        var to = arguments.Text("--out");
        arguments.End();
        var raw = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        var command = (string?)raw["command"];
        var svg = command switch
        {
            "run" => Comparison(raw),
            "scale" => Scale(raw),
            _ => throw new UsageException($"{file}: not the figures of run or scale"),
        };
        var root = Environment.GetEnvironmentVariable("HIKYAKU_ROOT") ?? Environment.CurrentDirectory;
        File.WriteAllText(to ?? Path.Combine(root, "docs", command == "run" ? "performance.svg" : "scaling.svg"), svg);
        return true;
    }

    /// <summary>End-to-end lines per second and CPU per line of each system, four writers of 128 bytes, one line a write.</summary>
    public static string Comparison(JsonObject raw)
    {
        var rows = Figures.Of(Records(raw), "run", "mode", "writers", "bytes", "system")
            .Where(static r => r.Labels is [Shape.Line, "4", var bytes, _] && bytes == $"{LineBytes}" && r["arrived_per_s"].Count > 0).ToList();
        var svg = new Svg(Width, 120 + 2 * (rows.Count * Bar + 50));
        svg.Text(20, 30, "Lines of 128 bytes, one write(2) each, four writers, to one file of another node", Ink, 16, bold: true);
        var y = 62;
        foreach (var (title, figure, factor, format) in new[] { ("thousand lines per second, end to end (more is better)", "arrived_per_s", 1e-3, "0"), ("CPU microseconds per line, sending and receiving side together (less is better)", "cpu_us all", 1.0, "0.0") })
        {
            svg.Text(20, y, title, Ink, 13, bold: true);
            y += 14;
            var series = rows.ConvertAll(r => r[figure].Times(factor));
            var scale = (Width - Left - 90) / series.Select(static s => s.Most).DefaultIfEmpty(1).Max();
            foreach (var (row, values) in rows.Zip(series))
            {
                var middle = y + Bar / 2;
                svg.Text(Left - 10, middle + 4, row.Labels[3], Ink, 12, anchor: "end");
                svg.Box(Left, y + 3, values.Median * scale, Bar - 6, Colour(row.Labels[3]));
                svg.Line(Left + values.Least * scale, middle, Left + values.Most * scale, middle, Ink, 1.5);
                svg.Line(Left + values.Least * scale, middle - 4, Left + values.Least * scale, middle + 4, Ink, 1.5);
                svg.Line(Left + values.Most * scale, middle - 4, Left + values.Most * scale, middle + 4, Ink, 1.5);
                svg.Text(Left + values.Most * scale + 8, middle + 4, values.Median.ToString(format, CultureInfo.InvariantCulture), Ink, 12);
                y += Bar;
            }

            y += 36;
        }

        Caption(svg, raw, y - 8);
        return svg.ToString();
    }

    /// <summary>CPU per line as things grow: one small diagram each.</summary>
    public static string Scale(JsonObject raw)
    {
        const int columns = 3, wide = 250, high = 190;
        var parts = Figures.Of(Records(raw).Where(static r => r["what"] is not null && (string)r["what"]! != "compress"), "run", "what", "step", "system").GroupBy(static r => r.Labels[0]).ToList();
        var bottom = 70 + (parts.Count + columns - 1) / columns * high;
        var svg = new Svg(Width, bottom + 50);
        svg.Text(20, 30, "CPU microseconds per line, sending and receiving side together, as things grow (by powers of ten)", Ink, 16, bold: true);
        var systems = parts.SelectMany(static p => p).Select(static r => r.Labels[2]).Distinct().ToList();
        foreach (var (i, system) in systems.Index())
        {
            svg.Box(20 + 180 * i, 42, 12, 12, Colour(system));
            svg.Text(38 + 180 * i, 53, system, Ink, 12);
        }

        foreach (var (i, part) in parts.Index())
        {
            var (x, y) = (50 + i % columns * wide, 95 + i / columns * high);
            var steps = part.Select(static r => r.Labels[1]).Distinct().ToList();
            // By powers of ten: both kinds of capture are to be seen.
            var low = Math.Floor(Math.Log10(part.Min(static r => r["cpu_us all"].Least)));
            var decades = Math.Max(1, Math.Ceiling(Math.Log10(part.Max(static r => r["cpu_us all"].Most))) - low);
            double X(string step) => x + 15 + (steps.Count > 1 ? steps.IndexOf(step) * 160.0 / (steps.Count - 1) : 80);
            double Y(double value) => y + 110 - (Math.Log10(value) - low) / decades * 105;
            svg.Text(x, y - 8, part.Key == "backlog" ? "backlog, GiB (lines of 1024 bytes)" : part.Key, Ink, 12, bold: true);
            for (var decade = 0; decade <= decades; decade++)
            {
                var value = Math.Pow(10, low + decade);
                svg.Line(x, Y(value), x + 190, Y(value), decade == 0 ? Grey : Pale, 1);
                svg.Text(x - 6, Y(value) + 4, value.ToString("0.##", CultureInfo.InvariantCulture), Ink, 11, anchor: "end");
            }

            steps.ForEach(step => svg.Text(X(step), y + 126, step, Ink, 11, anchor: "middle"));
            foreach (var system in part.GroupBy(static r => r.Labels[2]))
            {
                svg.Path([.. system.Select(r => (X(r.Labels[1]), Y(r["cpu_us all"].Median)))], Colour(system.Key));
                foreach (var row in system)
                {
                    svg.Text(X(row.Labels[1]), Y(row["cpu_us all"].Most) - 5, row["cpu_us all"].Median.ToString("0.#", CultureInfo.InvariantCulture), Ink, 10, anchor: "middle");
                    svg.Line(X(row.Labels[1]), Y(row["cpu_us all"].Least), X(row.Labels[1]), Y(row["cpu_us all"].Most), Colour(system.Key), 4);
                }
            }
        }

        Caption(svg, raw, bottom + 15);
        return svg.ToString();
    }

    private static void Caption(Svg svg, JsonObject raw, int y)
    {
        svg.Text(20, y, "Median; the thin line goes from the least to the most. Sender and receiver on one machine, over TCP.", Grey, 11);
        svg.Text(20, y + 16, (string)raw["machine"]!, Grey, 11);
    }

    private static string Colour(string system) => system switch
    {
        Street.Passthrough => "#c2410c",
        Street.Direct => "#fb923c",
        _ => "#afb8c1",
    };

    private static IEnumerable<JsonObject> Records(JsonObject raw) => raw["records"]!.AsArray().Select(static r => r!.AsObject());
}
