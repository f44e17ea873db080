using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Half of what the system can carry, for long: nothing may be lost, and nothing may grow.</summary>
internal sealed class SoakRun : IDisposable
{
    public const string Usage = """
        bench/compare/soak [--minutes N] [--capture direct|passthrough] [--quick] [--out DIR]
        Half of the full load, measured shortly before, lines of 128 bytes; the writers' files are rotated every minute, the collector's
        at each sample. Every 10 s memory and CPU per line of each process, and the time of single lines. As root; lasts N minutes.
            --minutes N  how long (default 60)
            --capture C  how lines are taken in (default passthrough where it is to be had)

        """;

    private const int SamplesOfRotation = 6;
    private const int MostLinesOfWriter = 90_000_000;
    private const int SamplesToTell = 30;
    private const double Flat = 0.05;
    private const double FlatMiB = 1;
    private static readonly string[] Memory = ["private", "resident"];

    private readonly Session _session;
    private readonly Measurement _measurement;
    private readonly Contender _contender;
    private readonly TimeSpan _time;
    private readonly TimeSpan _interval;
    private long _fed;
    private long _latencyBytes;
    private bool _isFlat = true;

    private SoakRun(Arguments arguments, CancellationToken cancel)
    {
        var quick = arguments.Flag("--quick");
        _time = quick ? TimeSpan.FromSeconds(5) : TimeSpan.FromMinutes(arguments.Number("--minutes") ?? 60);
        _interval = TimeSpan.FromSeconds(quick ? 1 : 10);
        var wanted = arguments.Text("--capture") switch
        {
            null => null,
            "direct" => Street.Direct,
            "passthrough" => Street.Passthrough,
            var other => throw new UsageException($"--capture {other}: expected direct or passthrough"),
        };
        _session = new Session("soak", arguments, quick, cancel);
        _measurement = new Measurement(_session);
        var plan = Contender.Captures(_session).LastOrDefault(p => wanted is null || p.Name == wanted) ?? throw new ComparisonException($"{wanted} is not available");
        _contender = Contender.Ours(_session, plan);
    }

    /// <summary>False if a line was lost, twice, reordered or damaged, or if memory grew.</summary>
    public static bool Run(Arguments arguments, CancellationToken cancel)
    {
        using var run = new SoakRun(arguments, cancel);
        return run._contender.With(run.Run);
    }

    public void Dispose()
    {
        _contender.Dispose();
        _session.Dispose();
    }

    private bool Run(MeasuredSystem system)
    {
        var shape = new Shape(4, 128);
        _session.Say($"full load through {_contender.Name}");
        var lines = _measurement.Calibrate(_contender, shape, 5);
        var full = Enumerable.Range(0, _session.Quick ? 1 : 3).Median(_ => (double)_measurement.Take(_contender, shape, lines, round: 0)["arrived_per_s"]!);
        var rate = _session.Quick ? 4000 : (int)(full / 2);
        shape = shape with { Writers = Math.Max(shape.Writers, (int)Math.Ceiling(rate * _time.TotalSeconds / MostLinesOfWriter)) };
        _session.Say($"{rate} lines a second for {_time}, {shape.Writers} writers");

        var expected = Path.Combine(_session.Work, "expected.json");
        using var judge = _session.Load.CheckAsTheyCome(expected, shape);
        using var ending = _session.Cancel.Register(static p => ((Process)p!).Kill(), judge);
        var written = _session.Load.Write(system.Directory, shape, rate / shape.Writers, (int)_time.TotalSeconds, expected, load => Watch(system, load, judge, shape.Bytes))["total"]!;
        _session.Say("waiting for the last lines");
        var piece = system.Output + ".piece";
        _measurement.Await([system.Output, piece], (long)written["bytes"]! + _latencyBytes - _fed);
        Feed(judge, piece);
        Feed(judge, system.Output);
        judge.StandardInput.Close();
        var verdict = JsonNode.Parse(judge.StandardOutput.ReadToEnd())!;
        var end = new JsonObject { ["lines"] = (double)written["lines"]!, ["failed"] = (double)written["failed"]!, ["full_per_s"] = full, ["wanted_per_s"] = rate, ["written_per_s"] = (double)written["lines_per_s"]!, ["longest_ms"] = (double)written["longest_ns"]! / 1e6 };
        foreach (var fault in Measurement.Faults)
            end[fault] = (double)verdict[fault]!;
        _measurement.Judge(_contender, end);
        _session.Keep("end", end);
        _session.Finish($"{_contender.Name} at half load", $"{_time.TotalMinutes:0.#} minutes, lines of {shape.Bytes} bytes, {shape.Writers} writers, a sample every {_interval.TotalSeconds:0} s.", Report(end));
        return _measurement.IsWhole && _isFlat;
    }

    private void Watch(MeasuredSystem system, int load, Process judge, int bytes)
    {
        var rotation = new Rotation(RotationMethod.RenameAndDelete, system.Directory);
        var piece = system.Output + ".piece";
        long Arrived() => _fed + Measurement.Length(piece) + Measurement.Length(system.Output);
        var began = Stopwatch.GetTimestamp();
        var (cpu, arrived, at) = (ProcessFigures.Of(system), Arrived(), began);
        for (var number = 1; number * _interval + _interval / 2 < _time; number++)
        {
            // A sample that took longer than its interval is followed by the next at once.
            if (number * _interval - Stopwatch.GetElapsedTime(began) is var rest && rest > TimeSpan.Zero)
                _session.Cancel.WaitHandle.WaitOne(rest);
            _session.Cancel.ThrowIfCancellationRequested();
            var (cpuNow, arrivedNow, now) = (ProcessFigures.Of(system), Arrived(), Stopwatch.GetTimestamp());
            var count = (arrivedNow - arrived) / (double)bytes;
            var perLine = Measurement.CpuPerLine(cpu, cpuNow, 0, 0, count);
            perLine.Remove("writers");
            perLine.Remove("elsewhere");
            var sample = new JsonObject
            {
                ["minute"] = Stopwatch.GetElapsedTime(began).TotalMinutes, ["arrived_per_s"] = count / Stopwatch.GetElapsedTime(at, now).TotalSeconds, ["cpu_us"] = perLine,
                ["private"] = new JsonObject(cpuNow.Select(static f => KeyValuePair.Create(f.Key, (JsonNode?)(f.Value.Own / 1024.0)))),
                ["resident"] = new JsonObject(cpuNow.Select(static f => KeyValuePair.Create(f.Key, (JsonNode?)(f.Value.Resident / 1024.0)))),
            };
            (cpu, arrived, at) = (cpuNow, arrivedNow, now);
            var latency = _session.Load.Latency(system.Directory, system.Output, 3);
            _latencyBytes += (long)latency["bytes"]!;
            sample["lag_ms"] = (double)latency["median_us"]! / 1000;
            _session.Keep("sample", sample);
            // What was renamed at the sample before is complete by now: lines have gone to its successor since.
            Feed(judge, piece);
            File.Move(system.Output, piece);
            if (number % SamplesOfRotation == 0)
                rotation.Once(load);
        }
    }

    private void Feed(Process judge, string file)
    {
        if (!File.Exists(file))
            return;
        using (var lines = File.OpenRead(file))
        {
            _fed += lines.Length;
            lines.CopyTo(judge.StandardInput.BaseStream);
        }

        File.Delete(file);
    }

    private string Report(JsonObject end)
    {
        var samples = _session.Records.Where(static r => (string)r["kind"]! == "sample").ToArray();
        var text = new Markdown();
        text.Text(FormattableString.Invariant($"{(double)end["lines"]!:0} lines at {(double)end["written_per_s"]!:0} a second; full load was {(double)end["full_per_s"]!:0} a second end to end. Longest write(2) {(double)end["longest_ms"]!:0.0} ms. ")
            + string.Join(", ", Measurement.Faults.Append("failed").Select(f => FormattableString.Invariant($"{f} {(double)end[f]!:0}"))) + ".");
        if (samples.Length == 0)
            return text.ToString();
        var roles = samples[0]["private"]!.AsObject().Select(static f => f.Key).ToArray();
        double Minute(JsonObject sample) => (double)sample["minute"]!;
        var last = Minute(samples[^1]);
        text.Title("The first minute and the last");
        text.Table(["", "lines/s arrived", "CPU us/line, all", .. roles.Select(static r => r + ", CPU us/line"), "one line ms"],
            new[] { ("first ", samples.Where(s => Minute(s) <= 1.1)), ("last ", samples.Where(s => Minute(s) > last - 0.9)) }.Select(part => (string[])
            [
                part.Item1, Text(part.Item2, static s => s["arrived_per_s"], "0"), Text(part.Item2, static s => s["cpu_us"]!["all"], "0.00"),
                .. roles.Select(role => Text(part.Item2, s => s["cpu_us"]![role], "0.00")), Text(part.Item2, static s => s["lag_ms"], "0.00"),
            ]));
        var half = samples.Where(s => Minute(s) > last / 2).ToArray();
        var tells = half.Length >= SamplesToTell;
        text.Title("Memory, MiB");
        text.Text(tells ? $"A straight line through the second half; flat is less than {Flat:P0} or {FlatMiB:0} MiB of growth." : "Too short to tell whether it is flat.");
        text.Table(["process ", "memory ", "first sample", "middle", "end", "flat "], from role in roles from memory in Memory select Growth(role, memory, samples, half, tells));
        text.Title("Samples");
        text.Table(["minute", "lines/s", "CPU us/line", "one line ms", .. roles.Select(static r => r + " private")], samples.Where((_, i) => i % Math.Max(1, samples.Length / 12) == 0).Select(s => (string[])
        [
            Text([s], static s => s["minute"], "0.0"), Text([s], static s => s["arrived_per_s"], "0"), Text([s], static s => s["cpu_us"]!["all"], "0.00"), Text([s], static s => s["lag_ms"], "0.00"),
            .. roles.Select(role => Text([s], s => s["private"]![role], "0.0")),
        ]));
        return text.ToString();
    }

    private string[] Growth(string role, string memory, JsonObject[] samples, JsonObject[] half, bool tells)
    {
        double Value(JsonObject sample) => (double)sample[memory]![role]!;
        var points = half.Select(s => ((double)s["minute"]!, Value(s))).ToArray();
        var line = points.Length > 1 ? StraightLine.Through(points) : new StraightLine(Value(samples[^1]), 0);
        var (from, to) = (line.At((double)half[0]["minute"]!), line.At((double)half[^1]["minute"]!));
        var flat = to - from < Math.Max(FlatMiB, Flat * from);
        _isFlat &= flat || !tells;
        string Show(double value) => FormattableString.Invariant($"{value:0.0}");
        return [role, memory, Show(Value(samples[0])), Show(from), Show(to), !tells ? "-" : flat ? "yes" : "no"];
    }

    private static string Text(IEnumerable<JsonObject> samples, Func<JsonObject, JsonNode?> figure, string format) =>
        new Series(samples.Select(s => (double)figure(s)!)).Show(format);
}
