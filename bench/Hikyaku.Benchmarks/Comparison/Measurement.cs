using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>One run: a load through a system, until the last byte is where it belongs; what that took, and what arrived.</summary>
internal sealed class Measurement(Session session)
{
    public static readonly string[] Faults = ["lost", "twice", "reordered", "damaged"];
    private static readonly TimeSpan StallTime = TimeSpan.FromSeconds(30);

    // A rate found in less than this is mostly the beginning and the end of a run.
    private const double ShortestSeconds = 0.3;
    private const int MostTrials = 4;

    /// <summary>No write failed and every line arrived once and in order, through those systems that are ours.</summary>
    public bool IsWhole { get; private set; } = true;

    /// <summary>As many lines as keep the system busy for so many seconds.</summary>
    public int Calibrate(Contender contender, Shape shape, double seconds)
    {
        var lines = shape.Limit(session.Quick ? 2000 : Math.Min(20_000, (16 << 20) / shape.Bytes) * (shape.Mode == Shape.Block ? 8.0 : 1));
        if (session.Quick)
            return lines;
        for (var trial = 1; ; trial++)
        {
            var took = (double)Take(contender, shape, lines, round: 0)["seconds"]!;
            var more = shape.Limit(lines * Math.Clamp(1.5 * ShortestSeconds / took, 2, 20));
            if (took >= ShortestSeconds || trial == MostTrials || more == lines)
                return shape.Limit(lines / took * seconds);
            lines = more;
        }
    }

    /// <summary>Round 0 is not reported, but must be whole as well.</summary>
    public JsonObject Take(Contender contender, Shape shape, int lines, int round, Action<JsonObject>? also = null) =>
        contender.With(system =>
        {
            session.Cancel.ThrowIfCancellationRequested();
            var run = Take(system, shape, lines);
            (run["system"], run["round"]) = (contender.Name, round);
            also?.Invoke(run);
            Judge(contender, run);
            return session.Keep("run", run);
        });

    /// <summary>Counts what arrived for or against the whole, if it came through a system that is ours.</summary>
    public void Judge(Contender contender, JsonObject run)
    {
        if (contender.IsOurs && ((double)run["failed"]! > 0 || Faults.Any(f => run[f] is { } count && (double)count > 0)))
        {
            IsWhole = false;
            session.Remark($"{contender.Name}: {string.Join(", ", Faults.Append("failed").Append("errors").Where(f => run[f] is not null).Select(f => $"{f} {run[f]}"))}");
        }
    }

    /// <summary>Waits until the last byte is there, or nothing has moved for long: the check will say what is missing. The time in nanoseconds of the clock that load uses.</summary>
    public long Await(IEnumerable<string> outputs, long bytes)
    {
        var files = outputs.ToArray();
        var last = -1L;
        var since = Stopwatch.GetTimestamp();
        while (true)
        {
            session.Cancel.ThrowIfCancellationRequested();
            var length = files.Sum(Length);
            if (length >= bytes)
                return Now();
            if (length != last)
                (last, since) = (length, Stopwatch.GetTimestamp());
            else if (Stopwatch.GetElapsedTime(since) > StallTime)
                return Now();
            Thread.Sleep(1);
        }
    }

    /// <summary>What arrived of what was written, by kind of fault. The order is compared in each file by itself: several files are several receivers.</summary>
    public Dictionary<string, double> Check(string expected, Way way)
    {
        foreach (var missing in way.Outputs.Where(static o => !File.Exists(o)))
            File.Create(missing).Dispose(); // nothing has arrived there
        var outputs = way.Outputs;
        var check = session.Load.Check(expected, outputs);
        var faults = Faults.ToDictionary(static f => f, f => (double)check[f]!, StringComparer.Ordinal);
        if (outputs.Length > 1)
            faults["reordered"] = outputs.Sum(o => (double)session.Load.Check(expected, o)["reordered"]!);
        return faults;
    }

    public static long Length(string file) => new FileInfo(file) is { Exists: true } info ? info.Length : 0;

    /// <summary>CPU time between two readings, us per line of each role. What nobody of them used was used elsewhere: kernel threads, and other programs.</summary>
    public static JsonObject CpuPerLine(Dictionary<string, ProcessFigures> before, Dictionary<string, ProcessFigures> after, double writers, double machine, double lines)
    {
        var cpu = new JsonObject();
        var elsewhere = machine - writers;
        var sum = 0.0;
        foreach (var (role, figures) in after)
        {
            var used = figures.Cpu - before.GetValueOrDefault(role).Cpu;
            cpu[role] = used / lines;
            (sum, elsewhere) = (sum + used, elsewhere - used);
        }

        (cpu["all"], cpu["writers"], cpu["elsewhere"]) = (sum / lines, writers / lines, Math.Max(0, elsewhere / lines));
        return cpu;
    }

    /// <summary>Nanoseconds of CLOCK_MONOTONIC.</summary>
    public static long Now() => Stopwatch.GetTimestamp() * (1_000_000_000 / Stopwatch.Frequency);

    private JsonObject Take(MeasuredSystem system, Shape shape, int lines)
    {
        var ways = system.Ways;
        var expected = ways.Select((_, i) => Path.Combine(session.Work, $"expected{i}.json")).ToArray();
        ProcessFigures.ForgetPeaks(system);
        using var memory = new MemoryWatch(system);
        var part = shape with { Writers = Math.Max(1, shape.Writers / ways.Count) };
        var loads = new List<LoadRun>();
        try
        {
            loads.AddRange(ways.Zip(expected, (way, file) => session.Load.Open(way.Directory, part, lines / ways.Count, file)));
            loads.ForEach(static l => l.AwaitOpen());
            return Take(ways, shape, system, memory, expected, loads);
        }
        finally
        {
            loads.ForEach(static l => l.Dispose());
            // Not before: those who follow files have the first ones open already.
            Clear(ways);
        }
    }

    private JsonObject Take(IReadOnlyList<Way> ways, Shape shape, MeasuredSystem system, MemoryWatch memory, string[] expected, List<LoadRun> loads)
    {
        var (before, machine, here) = (ProcessFigures.Of(system), ProcessFigures.Machine(), ProcessFigures.Here());
        loads.ForEach(static l => l.Write());
        var written = loads.ConvertAll(static l => l.AwaitWritten());
        double Sum(string name) => written.Sum(w => (double)w["total"]![name]!);
        var started = written.Min(static w => (long)w["started_ns"]!);
        var wrote = written.Max(static w => (long)w["started_ns"]! + (long)((double)w["total"]!["seconds"]! * 1e9));
        var there = ways.Zip(written).Where(static w => w.First.Outputs.Length > 0).Select(w => Await(w.First.Outputs, (long)w.Second["total"]!["bytes"]!)).DefaultIfEmpty(wrote).Max();
        var after = ProcessFigures.Of(system);
        machine = ProcessFigures.Machine() - machine - (ProcessFigures.Here() - here);
        var count = Sum("lines");
        var seconds = (there - started) / 1e9;
        var own = memory.Most();
        var run = new JsonObject
        {
            ["writers"] = shape.Writers, ["bytes"] = shape.Bytes, ["mode"] = shape.Mode, ["files"] = shape.Files,
            ["lines"] = count, ["failed"] = Sum("failed"), ["seconds"] = seconds,
            ["p50_us"] = written.Median(static w => (double)w["total"]!["p50_ns"]!) / 1000, ["p99_us"] = written.Max(static w => (double)w["total"]!["p99_ns"]!) / 1000,
            ["written_per_s"] = count / ((wrote - started) / 1e9),
            ["cpu_us"] = CpuPerLine(before, after, written.Sum(static w => (double)w["cpu_us"]!), machine, count),
            ["peak_mib"] = after.Values.Sum(static f => f.Peak) / 1024.0, ["own_mib"] = own.Values.Sum() / 1024.0,
        };
        if (written.Select(static w => w["total"]!["errors"]!.ToJsonString()).FirstOrDefault(static e => e != "{}") is { } errors)
            run["errors"] = errors;
        if (ways[0].Outputs.Length > 0)
        {
            (run["arrived_per_s"], run["mb_per_s"]) = (count / seconds, Sum("bytes") / seconds / 1e6);
            foreach (var fault in ways.SelectMany((way, i) => Check(expected[i], way)).GroupBy(static f => f.Key, static f => f.Value))
                run[fault.Key] = fault.Sum();
        }

        return run;
    }

    /// <summary>Removes what was written and what arrived.</summary>
    public static void Clear(IEnumerable<Way> ways)
    {
        foreach (var file in ways.SelectMany(static w => Directory.GetFiles(w.Directory).Concat(w.Outputs)))
            File.Delete(file);
    }
}
