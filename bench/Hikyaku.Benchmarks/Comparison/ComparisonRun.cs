using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>
/// Rounds over all sizes, writers and systems, in turn, so that what else the machine does falls on all alike; then write(2) in
/// pairs, then single lines on an idle system.
/// </summary>
internal sealed class ComparisonRun : IDisposable
{
    private static readonly int[] Sizes = [10, 128, 1024, 4096];
    private static readonly int[] Writers = [1, 4];
    private static readonly TimeSpan StallTime = TimeSpan.FromSeconds(30);

    private readonly ComparisonOptions _options;
    private readonly CancellationToken _cancel;
    private readonly LoadProgram _load;
    private readonly List<MeasuredSystem> _systems = [];
    private readonly JsonArray _raw = [];
    private readonly ComparisonReport _report = new();

    public ComparisonRun(ComparisonOptions options, CancellationToken cancel)
    {
        _options = options;
        _cancel = cancel;
        _load = new LoadProgram(Path.Combine(options.Tools, "load"), cancel);
    }

    /// <summary>False if a line was lost, twice, reordered or damaged.</summary>
    public bool Run()
    {
        Directory.CreateDirectory(_options.Work);
        for (var round = 1; round <= _options.Rounds; round++)
        {
            Say($"round {round} of {_options.Rounds}");
            Start();
            foreach (var writers in Writers)
            {
                foreach (var size in Sizes)
                {
                    foreach (var system in _systems)
                        Measure(system, writers, Math.Max(writers, size > 1024 ? _options.Lines / 4 : _options.Lines), size, round);
                }
            }

            if (round == _options.Rounds)
            {
                Say("write(2) in pairs");
                Pair(round);
                Say("single lines on an idle system");
                var street = _systems.Find(static s => s.Output is not null)!;
                _report.Latency(Keep("latency", _load.Latency(street.Directory, street.Output!, _options.LatencyLines)));
            }

            Memory(idle: false);
            Stop();
        }

        var table = _report.Table(_options);
        Console.WriteLine(table);
        File.WriteAllText(Path.Combine(_options.Out, "table.md"), table);
        File.WriteAllText(Path.Combine(_options.Out, "raw.json"), _raw.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true }));
        Say($"raw figures: {_options.Out}");
        return _report.IsWhole;
    }

    public void Dispose()
    {
        Stop();
        if (Directory.Exists(_options.Work))
            Directory.Delete(_options.Work, recursive: true);
    }

    private void Start()
    {
        _systems.Add(new PlainDirectory(_options.Work));
        if (Environment.IsPrivilegedProcess)
            _systems.Add(new NullMount(_options.Work, _options.Tools));
        var street = new Street(_options.Work, _options.Hikyaku);
        _systems.Add(street);
        Thread.Sleep(_options.IdleTime);
        Memory(idle: true);
        // The first lines of a process find code that is not compiled yet.
        foreach (var size in Sizes)
            Measure(street, 4, Math.Max(4, _options.Lines / 10), size, round: 0);
    }

    private void Stop()
    {
        foreach (var system in Enumerable.Reverse(_systems))
            system.Dispose();
        _systems.Clear();
        // The state and the output of a round would only weigh on the next one.
        foreach (var directory in Directory.Exists(_options.Work) ? Directory.GetDirectories(_options.Work, "*-state") : [])
            Directory.Delete(directory, recursive: true);
    }

    // Round 0 is not reported, but must be whole as well.
    private JsonNode Measure(MeasuredSystem system, int writers, int lines, int size, int round)
    {
        var expected = Path.Combine(_options.Work, "expected.json");
        if (system.Output is not null)
            File.Delete(system.Output);
        var before = Cpu(system);
        var ended = ProcessFigures.EndedChildren();
        var written = _load.Write(system.Directory, writers, lines, size, expected);
        var exit = Stopwatch.GetTimestamp();
        var total = written["total"]!;
        var cpu = new JsonObject { ["writers"] = ProcessFigures.EndedChildren() - ended };
        var run = new JsonObject
        {
            ["system"] = system.Name, ["writers"] = writers, ["bytes"] = size, ["round"] = round, ["lines"] = (double)total["lines"]!,
            ["write"] = written, ["cpu_us"] = cpu,
        };
        if (system.Output is not null)
        {
            Await(system.Output, (long)total["bytes"]!);
            run["end_to_end_seconds"] = (double)total["seconds"]! + Stopwatch.GetElapsedTime(exit).TotalSeconds;
        }

        foreach (var (role, value) in Cpu(system))
            cpu[role] = value - before.GetValueOrDefault(role);
        if (system.Output is not null)
            run["check"] = _load.Check(expected, system.Output);
        foreach (var file in Directory.GetFiles(system.Directory))
            File.Delete(file);
        _report.Add(Keep("run", run));
        return run;
    }

    // A B, B A, A B ...: so neither is always the one that finds the caches of the other.
    private void Pair(int round)
    {
        var floor = _systems.Find(static s => s is NullMount);
        var street = _systems.Find(static s => s is Street)!;
        if (floor is null)
            return;
        for (var pair = 0; pair < _options.Pairs; pair++)
        {
            double Window(MeasuredSystem system) => (double)Measure(system, 1, _options.PairLines, 128, -round)["write"]!["total"]!["p50_ns"]!;
            var (first, second) = pair % 2 == 0 ? (Window(floor), Window(street)) : (0, 0);
            if (pair % 2 != 0)
                (second, first) = (Window(street), Window(floor));
            _report.Pair(first, second);
        }
    }

    private void Await(string output, long bytes)
    {
        var last = -1L;
        var since = Stopwatch.GetTimestamp();
        while (true)
        {
            _cancel.ThrowIfCancellationRequested();
            var file = new FileInfo(output);
            var length = file.Exists ? file.Length : 0;
            if (length >= bytes)
                return;
            if (length != last)
                (last, since) = (length, Stopwatch.GetTimestamp());
            else if (Stopwatch.GetElapsedTime(since) > StallTime)
                return; // the check will say what is missing
            Thread.Sleep(1);
        }
    }

    private static Dictionary<string, double> Cpu(MeasuredSystem system)
    {
        var cpu = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var (role, pid) in system.Processes)
            cpu[role] = cpu.GetValueOrDefault(role) + ProcessFigures.Of(pid).Cpu;
        return cpu;
    }

    private void Memory(bool idle)
    {
        foreach (var (role, pid) in _systems.SelectMany(static s => s.Processes))
        {
            var figures = ProcessFigures.Of(pid);
            _report.Memory(role, idle, figures);
            Keep("memory", new JsonObject { ["role"] = role, ["idle"] = idle, ["rss_kib"] = figures.Resident, ["own_kib"] = figures.Own, ["peak_kib"] = figures.Peak, ["cpu_us"] = figures.Cpu });
        }
    }

    private JsonNode Keep(string kind, JsonNode figures)
    {
        _raw.Add(new JsonObject { ["kind"] = kind, ["figures"] = figures });
        return figures;
    }

    private void Say(string text)
    {
        _cancel.ThrowIfCancellationRequested();
        Console.Error.WriteLine(text);
    }
}
