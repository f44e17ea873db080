using System.Globalization;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Single lines from before write(2) until they are visible in the collector's file, with nothing else going on and beside other lines.</summary>
internal sealed class LatencyRun(Session session, int rounds, int count, int look)
{
    public const string Usage = """
        bench/compare/latency [--rounds N] [--count N] [--look N] [--quick] [--out DIR] [--peers DIR]
        One line at a time, 20 ms apart: the time from before write(2) until it can be read from the collector's file, idle and beside
        1,000 and 50,000 lines a second of four writers; rsyslog and syslog-ng idle. Some 5 minutes.
            --rounds N   rounds of all systems in turn (default 3)
            --count N    lines of each round (default 200)
            --look N     us between two looks at the file (default 50; looking without pause would keep one CPU busy)

        """;

    private const int MostSeconds = 600;
    private static readonly int[] Rates = [0, 1000, 50_000];

    private readonly Measurement _measurement = new(session);

    /// <summary>False if a line was lost, twice, reordered or damaged.</summary>
    public static bool Run(Arguments arguments, CancellationToken cancel)
    {
        var quick = arguments.Flag("--quick");
        var (rounds, count) = (arguments.Number("--rounds") ?? (quick ? 1 : 3), arguments.Number("--count") ?? (quick ? 10 : 200));
        var look = arguments.Number("--look") ?? 50;
        using var session = new Session("latency", arguments, quick, cancel);
        return new LatencyRun(session, rounds, count, look).Run();
    }

    private bool Run()
    {
        var contenders = Contender.Captures(session).Select(plan => Contender.Ours(session, plan)).Concat(Contender.Peers(session)).ToList();
        try
        {
            for (var round = 1; round <= rounds; round++)
            {
                foreach (var (rate, contender) in from rate in Rates from contender in contenders where rate == 0 || contender.IsOurs select (rate, contender))
                {
                    session.Say($"round {round} of {rounds}: {contender.Name}, beside {rate} lines a second");
                    contender.With(system => Measure(contender, system, rate, round));
                }

                contenders.ForEach(static c => c.Dispose());
            }
        }
        finally
        {
            contenders.ForEach(static c => c.Dispose());
        }

        var rows = Figures.Of(session.Records, "latency", "system", "rate");
        var text = new Markdown().Table(["system ", "other lines a second", "reached", "p50 us", "p99 us", "least us", "most us", "the first line us"], rows.Select(static r =>
            new[] { r.Labels[0], r.Labels[1] == "0" ? "none" : r.Labels[1], r.Show("reached_per_s", "0"), r.Show("median_us", "0"), r.Show("p99_us", "0"), r.Show("min_us", "0"), r.Show("max_us", "0"), r.Show("first_us", "0") }));
        Series Idle(string system, string figure) => rows.Find(r => r.Labels[0] == system && r.Labels[1] == "0")?[figure].Times(1e-3) ?? new Series();
        Target.Table(text, from plan in new[] { Street.Direct, Street.Passthrough }
                           from limit in new[] { ("p50", "median_us", 1.0), ("p99", "p99_us", 5.0) }
                           select new Target($"{plan}, idle: {limit.Item1} ms", limit.Item3, AtMost: true, Idle(plan, limit.Item2)));
        session.Finish("One line, from before write(2) until visible in the collector's file", $"{rounds} rounds of {count} lines, looked for every {look} us.", text.ToString());
        return _measurement.IsWhole;
    }

    private JsonObject Measure(Contender contender, MeasuredSystem system, int rate, int round)
    {
        JsonNode? latency = null;
        void Look() => latency = session.Load.Latency(system.Directory, system.Output, count, look);
        var figures = new JsonObject { ["system"] = contender.Name, ["rate"] = rate.ToString(CultureInfo.InvariantCulture), ["round"] = round };
        if (rate == 0)
        {
            Look();
        }
        else
        {
            var shape = new Shape(4, 128);
            var expected = Path.Combine(session.Work, "expected.json");
            var before = Measurement.Length(system.Output);
            var written = session.Load.Write(system.Directory, shape, rate / shape.Writers, MostSeconds, expected, load =>
            {
                Look();
                ChildProgram.Signal(load, ChildProgram.SigTerm);
            })["total"]!;
            _measurement.Await([system.Output], before + (long)written["bytes"]! + (long)latency!["bytes"]!);
            foreach (var (fault, times) in _measurement.Check(expected, system.Ways[0]))
                figures[fault] = times;
            (figures["reached_per_s"], figures["failed"]) = ((double)written["lines_per_s"]!, (double)written["failed"]!);
            _measurement.Judge(contender, figures);
        }

        foreach (var (name, value) in latency!.AsObject())
            figures[name] = (double)value!;
        Measurement.Clear(system.Ways);
        return session.Keep("latency", figures);
    }
}
