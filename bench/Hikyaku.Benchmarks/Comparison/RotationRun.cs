using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The same load and the same rotation through each system in turn; every run has a new system and new directories.</summary>
internal sealed class RotationRun(Session session, int seconds, int rate, int rounds)
{
    public const string Usage = """
        bench/compare/rotate [--seconds N] [--rate N] [--rounds N] [--quick] [--out DIR] [--peers DIR]
        Files rotated under load, and what becomes of their lines: through Hikyaku, rsyslog and syslog-ng.
            --seconds N  how long the writers of each run write (default 5); their files are rotated every half second
            --rate N     lines a second, four writers together (default 50000)
            --rounds N   rounds of all systems and methods in turn (default 3)

        """;

    private const int Writers = 4;
    private const int LineBytes = 128;

    // Nothing new for so long: nothing will come any more. The others look at directories every second, some every ten.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(12);
    private readonly TimeSpan _patienceWhenComplete = TimeSpan.FromSeconds(session.Quick ? 0.3 : 2);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>False if a line was lost, twice, reordered or damaged by Hikyaku.</summary>
    public static bool Run(Arguments arguments, CancellationToken cancel)
    {
        var quick = arguments.Flag("--quick");
        var (seconds, rate, rounds) = (arguments.Number("--seconds") ?? (quick ? 1 : 5), Math.Max(Writers, arguments.Number("--rate") ?? (quick ? 4000 : 50_000)), arguments.Number("--rounds") ?? (quick ? 1 : 3));
        using var session = new Session("rotate", arguments, quick, cancel);
        return new RotationRun(session, seconds, rate, rounds).Run();
    }

    private bool Run()
    {
        var systems = new List<(string Name, Func<string, MeasuredSystem> Open)>();
        foreach (var plan in Contender.Captures(session))
            systems.Add((plan.Name, work => new Street(work, session.Hikyaku, plan with { Match = Rotation.Pattern })));
        var ours = systems.Count;
        PeerProgram.Fetch(session);
        systems.AddRange(Rsyslog.Variants(session));
        systems.AddRange(SyslogNg.Variants(session));
        var whole = true;
        for (var round = 1; round <= rounds; round++)
        {
            foreach (var (method, number) in from method in Enum.GetValues<RotationMethod>() from number in Enumerable.Range(0, systems.Count) select (method, number))
            {
                var (name, open) = systems[number];
                session.Say($"round {round} of {rounds}: {Rotation.Name(method)}, {name}");
                var isWhole = Measure(name, open, method, round);
                whole &= isWhole || number >= ours;
            }
        }

        session.Finish("Rotation under load", $"{rounds} rounds; {Writers} writers, {rate.ToString("N0", CultureInfo.InvariantCulture)} lines a second, {seconds} seconds, a rotation every 0.5 s.", Report());
        return whole;
    }

    private string Report() => new Markdown().Table(["method ", "system ", "lines written", "lost", "%", "twice", "out of order", "damaged", "last line after s", "cut off by the method", "crashed"],
        Figures.Of(session.Records, "rotation", "method", "system").Select(static f => new[]
        {
            f.Labels[0], f.Labels[1], f["lines"].Median.ToString("0", CultureInfo.InvariantCulture), f.Show("lost", "0"), f["lost"].With(f["lines"], static (lost, lines) => lost / lines * 100).Show("0.0"),
            f.Show("twice", "0"), f.Show("reordered", "0"), f.Show("damaged", "0"), f.Show("seconds", "0.0"), f.Show("cut", "0"), $"{f["died"].Sum:0}",
        })).ToString();

    private bool Measure(string name, Func<string, MeasuredSystem> open, RotationMethod method, int round)
    {
        var work = session.NewFolder();
        try
        {
            using var system = open(work);
            var expected = Path.Combine(work, "expected.json");
            var rotation = new Rotation(method, system.Directory);
            var written = session.Load.Write(system.Directory, new Shape(Writers, LineBytes), rate / Writers, seconds, expected,
                writers => rotation.Run(writers, TimeSpan.FromSeconds(seconds), session.Cancel))["total"]!;
            var last = AwaitTheLast(system.Output, (long)written["bytes"]!);
            var check = File.Exists(system.Output) ? session.Load.Check(expected, system.Output) : throw new ComparisonException($"{name}: nothing arrived at all");
            // What was cut off between the copy and the truncation is in no file any more.
            var cut = method == RotationMethod.CopyTruncate ? (double)session.Load.Check(expected, rotation.Files())["lost"]! : 0;
            var run = new JsonObject
            {
                ["system"] = name, ["method"] = Rotation.Name(method), ["round"] = round, ["lines"] = (double)written["lines"]!, ["failed"] = (double)written["failed"]!, ["cut"] = cut, ["seconds"] = last, ["died"] = system.HasDied ? 1 : 0,
            };
            foreach (var fault in Measurement.Faults)
                run[fault] = (double)check[fault]!;
            session.Keep("rotation", run);
            return (double)run["failed"]! == 0 && Measurement.Faults.All(f => (double)run[f]! == 0);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    // Seconds from now until the last byte, or 0 if it is there; what comes later than the limit does not count.
    private double AwaitTheLast(string output, long bytes)
    {
        var start = Stopwatch.GetTimestamp();
        var (last, since) = (-1L, start);
        while (true)
        {
            var length = Measurement.Length(output);
            if (length != last)
                (last, since) = (length, last < 0 ? start : Stopwatch.GetTimestamp());
            if (Stopwatch.GetElapsedTime(since) > (length == bytes ? _patienceWhenComplete : Patience) || Stopwatch.GetElapsedTime(start) > Limit)
                return Stopwatch.GetElapsedTime(start, since).TotalSeconds;
            if (session.Cancel.WaitHandle.WaitOne(2))
                session.Cancel.ThrowIfCancellationRequested();
        }
    }
}
