namespace Hikyaku.Benchmarks.Comparison;

/// <summary>
/// Rounds over all sizes, writers and systems, in turn, so that what else the machine does falls on all alike; then write(2) in pairs.
/// </summary>
internal sealed class ComparisonRun : IDisposable
{
    public const string Usage = """
        bench/compare/run [--rounds N] [--seconds N] [--pairs N] [--writers N] [--bytes N] [--mode M] [--quick] [--out DIR] [--peers DIR]
        The same load through a plain directory, a null FUSE daemon, Hikyaku with both kinds of capture, rsyslog and syslog-ng.
        Some 20 minutes; packages of rsyslog and syslog-ng are fetched from Debian's archive if they are missing. As root.
            --rounds N   rounds of all sizes and systems in turn (default 3)
            --seconds N  how long each run should keep its system busy, half of it for those that carry nothing; the first round finds out how many lines that is (default 2)
            --pairs N    paired windows of write(2) at 128 bytes (default 20)
            --writers N, --bytes N, --mode line|block: only runs with so many writers, lines of this length, this kind of write

        """;

    private readonly Session _session;
    private readonly Measurement _measurement;
    private readonly List<Contender> _contenders;
    private readonly List<Shape> _shapes;
    private readonly Dictionary<(string, Shape), int> _lines = [];
    private readonly int _rounds;
    private readonly int _seconds;
    private readonly int _pairs;

    private ComparisonRun(Arguments arguments, CancellationToken cancel)
    {
        var quick = arguments.Flag("--quick");
        (_rounds, _seconds, _pairs) = (arguments.Number("--rounds") ?? (quick ? 1 : 3), arguments.Number("--seconds") ?? 2, arguments.Number("--pairs") ?? (quick ? 1 : 20));
        int[] writers = arguments.Number("--writers") is { } only ? [only] : [1, 4];
        int[] sizes = arguments.Number("--bytes") is { } bytes ? [bytes] : [10, 128, 1024, 4096];
        string[] modes = arguments.Text("--mode") switch
        {
            null => [Shape.Line, Shape.Block],
            (Shape.Line or Shape.Block) and var one => [one],
            var other => throw new UsageException($"--mode {other}: expected line or block"),
        };
        _shapes = [.. from mode in modes from number in writers from size in sizes select new Shape(number, size, mode)];
        _session = new Session("run", arguments, quick, cancel);
        _measurement = new Measurement(_session);
        _contenders = [new Contender(_session, PlainDirectory.Name(_session.Work), static work => new PlainDirectory(work), lasts: true) { IsFloor = true }];
        if (Environment.IsPrivilegedProcess)
            _contenders.Add(new Contender(_session, NullMount.Name, work => new NullMount(work, _session.Tools), lasts: true) { IsFloor = true });
        else
            _session.Remark("the null FUSE daemon is left out: it mounts as root only");
        _contenders.AddRange(Contender.Captures(_session).Select(plan => Contender.Ours(_session, plan)));
        _contenders.AddRange(Contender.Peers(_session));
    }

    /// <summary>False if a line was lost, twice, reordered or damaged.</summary>
    public static bool Run(Arguments arguments, CancellationToken cancel)
    {
        using var run = new ComparisonRun(arguments, cancel);
        return run.Run();
    }

    public void Dispose()
    {
        _contenders.ForEach(static c => c.Dispose());
        _session.Dispose();
    }

    private bool Run()
    {
        for (var round = 1; round <= _rounds; round++)
        {
            // New processes find code that is not compiled yet; in the first round finding out the number of lines does that.
            if (round > 1)
                Warm();
            foreach (var shape in _shapes)
            {
                _session.Say($"round {round} of {_rounds}: {shape}");
                foreach (var contender in _contenders)
                {
                    if (!_lines.TryGetValue((contender.Name, shape), out var lines))
                        _lines[(contender.Name, shape)] = lines = _measurement.Calibrate(contender, shape, contender.IsFloor ? _seconds / 2.0 : _seconds);
                    _measurement.Take(contender, shape, lines, round);
                }
            }

            if (round == _rounds)
            {
                Pair(NullMount.Name, Street.Direct, _session.Quick ? 1000 : 20_000);
                Pair(PlainDirectory.Name(_session.Work), Street.Passthrough, _session.Quick ? 1000 : 200_000);
            }

            _contenders.ForEach(static c => c.Dispose());
        }

        _session.Finish("Hikyaku beside a plain directory, a null FUSE daemon, rsyslog and syslog-ng", $"{_rounds} rounds, about {_seconds} s of each system's work per run.",
            ComparisonReport.Text([.. _session.Records]));
        return _measurement.IsWhole;
    }

    private void Warm()
    {
        foreach (var (contender, shape) in from contender in _contenders from mode in _shapes.GroupBy(static s => s.Mode) where contender.IsOurs select (contender, mode.Last()))
            _measurement.Take(contender, shape, shape.Limit(_lines[(contender.Name, shape)] / 4.0), round: 0);
    }

    // A B, B A, A B ...: so neither is always the one that finds the caches of the other.
    private void Pair(string floor, string system, int lines)
    {
        if (_contenders.Find(c => c.Name == floor) is not { } first || _contenders.Find(c => c.Name == system) is not { } second)
            return;
        _session.Say($"write(2) in pairs: {floor}, {system}");
        for (var pair = 1; pair <= _pairs; pair++)
        {
            double Window(Contender contender) => (double)_measurement.Take(contender, new Shape(1, 128), lines, round: 0)["p50_us"]!;
            var (a, b) = pair % 2 == 0 ? (Window(first), Window(second)) : (0, 0);
            if (pair % 2 != 0)
                (b, a) = (Window(second), Window(first));
            _session.Keep("pair", new() { ["round"] = pair, ["floor"] = floor, ["system"] = system, ["lines"] = lines, ["floor_us"] = a, ["system_us"] = b, ["ratio"] = b / a });
        }
    }
}
