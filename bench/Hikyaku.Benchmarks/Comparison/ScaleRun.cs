using System.Globalization;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>One thing after the other grows, and a line should cost the same.</summary>
internal sealed class ScaleRun
{
    public const string Usage = """
        bench/compare/scale [--rounds N] [--seconds N] [--only WHAT] [--backlog N] [--quick] [--out DIR]
        Cost of a line of 128 bytes and lines per second at full speed with more and more writers, open files, routes, receivers and
        agents, and with compression; and a backlog carried while lines keep coming. Some 20 minutes. As root.
            --rounds N   rounds of each step, both kinds of capture in turn (default 3; a backlog is measured once)
            --seconds N  how long each run should take; the first round finds out how many lines that is (default 2)
            --only WHAT  only one of: writers, files, routes, receivers, agents, compress, backlog
            --backlog N  GiB of the largest backlog, of lines of 1024 bytes (default 10; needs three times that on the disk)

        """;

    // An open file takes a descriptor of the mount's process, which keeps some for itself.
    private const int DescriptorsOfRest = 1000;
    private const int MostFiles = 10_000;
    private const double GiB = 1L << 30;
    private const int BacklogBytes = 1024;
    private const int SteadyRate = 1000;

    private readonly Session _session;
    private readonly Measurement _measurement;
    private readonly List<StreetPlan> _captures;
    private readonly int _rounds;
    private readonly int _seconds;
    private readonly int _backlog;
    private readonly string? _only;

    private ScaleRun(Arguments arguments, CancellationToken cancel)
    {
        var quick = arguments.Flag("--quick");
        (_rounds, _seconds, _backlog) = (arguments.Number("--rounds") ?? (quick ? 1 : 3), arguments.Number("--seconds") ?? 2, arguments.Number("--backlog") ?? 10);
        _only = arguments.Text("--only");
        _session = new Session("scale", arguments, quick, cancel);
        _measurement = new Measurement(_session);
        _captures = [.. Contender.Captures(_session)];
    }

    private bool IsQuick => _session.Quick;

    /// <summary>False if a line was lost, twice, reordered or damaged.</summary>
    public static bool Run(Arguments arguments, CancellationToken cancel)
    {
        var run = new ScaleRun(arguments, cancel);
        using (run._session)
            return run.Run();
    }

    private bool Run()
    {
        var steps = new Dictionary<string, Action>(StringComparer.Ordinal)
        {
            ["writers"] = () => Grow<int>("writers", IsQuick ? [16] : [1, 4, 16, 64], static (n, plan) => (plan, new Shape(n, 128))),
            ["files"] = () => Grow<int>("files", IsQuick ? [100] : [1, 100, Files()], static (n, plan) => (plan, new Shape(1, 128, Files: n))),
            ["routes"] = () => Grow<int>("routes", IsQuick ? [2] : [1, 2, 4, 8], static (n, plan) => (plan with { Routes = n }, new Shape(8, 128))),
            ["receivers"] = () => Grow<int>("receivers", IsQuick ? [2] : [1, 2, 4], static (n, plan) => (plan with { Receivers = n }, new Shape(4, 128))),
            ["agents"] = () => Grow<int>("agents", IsQuick ? [2] : [1, 8], static (n, plan) => (plan with { Agents = n }, new Shape(8, 128))),
            ["compress"] = () => Grow<string>("compress", IsQuick ? ["gzip"] : ["none", "gzip", "zstd"], static (how, plan) => (plan with { Compress = how }, new Shape(4, 128))),
            ["backlog"] = Backlogs,
        };
        if (_only is not null && !steps.ContainsKey(_only))
            throw new UsageException($"--only {_only}: expected one of {string.Join(", ", steps.Keys)}");
        foreach (var (name, grow) in steps)
        {
            if (_only is null || _only == name)
                grow();
        }

        _session.Finish("What a line costs as things grow", $"{_rounds} rounds, about {_seconds} s per run.", Report());
        return _measurement.IsWhole;
    }

    private void Grow<T>(string what, T[] steps, Func<T, StreetPlan, (StreetPlan Plan, Shape Shape)> make)
        where T : notnull
    {
        var lines = new Dictionary<(T, string), int>();
        foreach (var (round, step, capture) in from round in Enumerable.Range(1, _rounds) from step in steps from capture in _captures select (round, step, capture))
        {
            _session.Say($"round {round} of {_rounds}: {step} {what}, {capture.Name}");
            var (plan, shape) = make(step, capture);
            using var contender = Contender.Ours(_session, plan);
            if (lines.TryGetValue((step, capture.Name), out var count))
                _measurement.Take(contender, shape, shape.Limit(count / 4.0), round: 0); // new processes find code that is not compiled yet
            else
                lines[(step, capture.Name)] = count = _measurement.Calibrate(contender, shape, _seconds);
            _measurement.Take(contender, shape, count, round, run => (run["what"], run["step"]) = (what, $"{step}"));
        }
    }

    private int Files()
    {
        var files = (int)Math.Min((ulong)MostFiles, OpenFiles.Most - DescriptorsOfRest);
        if (files < MostFiles)
            _session.Remark($"{files} files instead of {MostFiles}: a process may have {OpenFiles.Most} open here (ulimit -Hn)");
        return files;
    }

    private void Backlogs()
    {
        foreach (var (gib, capture) in from gib in IsQuick ? [0.0625] : new[] { 0, 1.0, _backlog }.Distinct() from capture in _captures select (gib, capture))
        {
            var free = new DriveInfo(_session.Work).AvailableFreeSpace / GiB;
            if (free < gib * 3 + 5)
            {
                _session.Remark(string.Create(CultureInfo.InvariantCulture, $"a backlog of {gib} GiB needs {gib * 3 + 5:0} GiB on the disk, and {free:0} are free"));
                continue;
            }

            _session.Say($"backlog of {gib.ToString(CultureInfo.InvariantCulture)} GiB, {capture.Name}");
            using var contender = Contender.Ours(_session, capture with { Folders = ["bulk", "steady"], CollectorsLater = true, QuotaGiB = (int)(gib * 2) + 4 });
            contender.With(system => Backlog(contender, (Street)system, gib));
        }
    }

    // A backlog of nothing is the same load with the collector there from the beginning.
    private JsonObject Backlog(Contender contender, Street street, double gib)
    {
        var (bulk, steady) = (street.Ways[0], street.Ways[1]);
        var shape = new Shape(4, BacklogBytes, Shape.Block);
        var lines = (int)((gib > 0 ? gib : IsQuick ? 0.0625 : 1) * GiB / BacklogBytes);
        var (bulkExpected, steadyExpected) = (Path.Combine(_session.Work, "bulk.json"), Path.Combine(_session.Work, "steady.json"));
        if (gib == 0)
            street.StartCollectors();
        using var memory = new MemoryWatch(street);
        var (before, machine, here) = (ProcessFigures.Of(street), ProcessFigures.Machine(), ProcessFigures.Here());
        var run = new JsonObject { ["what"] = "backlog", ["step"] = gib, ["system"] = contender.Name, ["round"] = 1, ["writers"] = shape.Writers, ["bytes"] = shape.Bytes, ["mode"] = shape.Mode };
        var writers = 0.0;
        var steadyWritten = _session.Load.Write(steady.Directory, new Shape(2, BacklogBytes), SteadyRate / 2, 100_000, steadyExpected, load =>
        {
            var written = _session.Load.Write(bulk.Directory, shape, lines, bulkExpected);
            var total = written["total"]!;
            var count = (double)total["lines"]!;
            (run["lines"], run["failed"], run["made_per_s"]) = (count, (double)total["failed"]!, (double)total["lines_per_s"]!);
            writers = (double)written["cpu_us"]!;
            var back = (long)written["started_ns"]!;
            if (gib > 0)
            {
                back = Measurement.Now();
                street.StartCollectors();
                before["collector"] = ProcessFigures.Of(street)["collector"]; // its start is no cost of a line
            }

            var there = _measurement.Await(bulk.Outputs, (long)total["bytes"]!);
            (run["seconds"], run["arrived_per_s"], run["mb_per_s"]) = ((there - back) / 1e9, count / ((there - back) / 1e9), (double)total["bytes"]! / (there - back) * 1e3);
            ChildProgram.Signal(load, ChildProgram.SigTerm);
        });
        writers += (double)steadyWritten["cpu_us"]!;
        _measurement.Await(steady.Outputs, (long)steadyWritten["total"]!["bytes"]!);
        run["cpu_us"] = Measurement.CpuPerLine(before, ProcessFigures.Of(street), writers, ProcessFigures.Machine() - machine - (ProcessFigures.Here() - here), (double)run["lines"]! + (double)steadyWritten["total"]!["lines"]!);
        run["own_mib"] = memory.Most().Values.Sum() / 1024.0;
        run["steady_longest_ms"] = (double)steadyWritten["total"]!["longest_ns"]! / 1e6;
        run["failed"] = (double)run["failed"]! + (double)steadyWritten["total"]!["failed"]!;
        foreach (var fault in _measurement.Check(bulkExpected, bulk).Concat(_measurement.Check(steadyExpected, steady)).GroupBy(static f => f.Key, static f => f.Value))
            run[fault.Key] = fault.Sum();
        _measurement.Judge(contender, run);
        return _session.Keep("run", run);
    }

    private string Report()
    {
        var text = new Markdown();
        foreach (var part in Figures.Of(_session.Records.Where(static r => r["what"] is not null), "run", "what", "step", "system").GroupBy(static r => r.Labels[0]))
        {
            var backlog = part.Key == "backlog";
            text.Title(part.Key switch
            {
                "writers" => "Writers, each with a file",
                "files" => "Open files of one writer, in turn",
                "routes" => "Routes, each with its part of eight files",
                "receivers" => "Receivers, every chunk to one of them",
                "agents" => "Agents with a mount each; eight writers in all",
                "compress" => "Compression of what is sent",
                _ => $"GiB of backlog, lines of {BacklogBytes} bytes in 64 KiB writes, carried while {SteadyRate} lines a second keep coming",
            });
            var roles = part.SelectMany(static r => r.Below("cpu_us")).Distinct().Where(static r => r is not ("all" or "elsewhere")).ToArray();
            text.Table([part.Key, "system ", "k lines/s end to end", "MB/s", "CPU us/line without writers", .. roles, "most private MiB", backlog ? "longest write(2) ms meanwhile" : "write(2) p50 us", "lost/twice/reordered"],
                part.Select(r => (string[])
                [
                    r.Labels[1], r.Labels[2], r.Show("arrived_per_s", "0.0", 1e-3), r.Show("mb_per_s", "0.0"), r.Show("cpu_us all", "0.00"), .. roles.Select(role => r.Show("cpu_us " + role, "0.00")),
                    r.Show("own_mib", "0"), backlog ? r.Show("steady_longest_ms", "0") : r.Show("p50_us", "0.00"), $"{r["lost"].Sum:0}/{r["twice"].Sum:0}/{r["reordered"].Sum:0}",
                ]));
        }

        return text.ToString();
    }
}
