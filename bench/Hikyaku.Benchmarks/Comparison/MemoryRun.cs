using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>What the runtime itself needs for so many processes, and what ours need.</summary>
internal sealed class MemoryRun(Session session, int rounds, int seconds)
{
    public const string Usage = """
        bench/compare/memory [--rounds N] [--seconds N] [--quick] [--out DIR]
        Memory of an empty program on the precompiled .NET runtime, as many processes of it as an agent has, beside an idle agent
        and collector and the same under full load. Some 3 minutes. As root.
            --rounds N   rounds (default 3)
            --seconds N  how long the full load lasts in each, 4 writers of 128 bytes (default 10)

        """;

    private const double Factor = 1.3;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Measurement _measurement = new(session);
    private readonly TimeSpan _settled = TimeSpan.FromSeconds(session.Quick ? 0.5 : 3);

    /// <summary>False if a line was lost, twice, reordered or damaged.</summary>
    public static bool Run(Arguments arguments, CancellationToken cancel)
    {
        var quick = arguments.Flag("--quick");
        var (rounds, seconds) = (arguments.Number("--rounds") ?? (quick ? 1 : 3), arguments.Number("--seconds") ?? (quick ? 2 : 10));
        using var session = new Session("memory", arguments, quick, cancel);
        return new MemoryRun(session, rounds, seconds).Run();
    }

    private bool Run()
    {
        for (var round = 1; round <= rounds; round++)
        {
            var agentProcesses = 0;
            foreach (var plan in Contender.Captures(session))
            {
                session.Say($"round {round} of {rounds}: {plan.Name}");
                using var contender = Contender.Ours(session, plan);
                agentProcesses = contender.With(system =>
                {
                    session.Cancel.WaitHandle.WaitOne(_settled);
                    var pids = system.Processes.ToArray();
                    var agent = pids.Where(static p => p.Role.StartsWith("agent", StringComparison.Ordinal)).ToArray();
                    Keep(plan.Name, "idle", round, Read(pids), agent.Length);
                    Keep(plan.Name, "most under full load", round, UnderLoad(contender, system, pids), agent.Length);
                    session.Cancel.WaitHandle.WaitOne(_settled);
                    Keep(plan.Name, "after it", round, Read(pids), agent.Length);
                    return agent.Length;
                });
            }

            session.Say($"round {round} of {rounds}: {agentProcesses} empty programs");
            var folder = session.NewFolder();
            var empty = new List<ChildProgram>();
            try
            {
                for (var i = 0; i < agentProcesses; i++)
                    empty.Add(new ChildProgram(Path.Combine(session.Tools, "empty", "empty"), Path.Combine(folder, $"{i}.txt")));
                session.Cancel.WaitHandle.WaitOne(_settled);
                Keep("empty program", "idle", round, Read([.. empty.Select(static (p, i) => ($"agent {i}", p.Id))]), empty.Count);
            }
            finally
            {
                empty.ForEach(static p => p.Dispose());
            }
        }

        session.Finish("Memory", $"{rounds} rounds, {seconds} s of full load each. Private is what no other process has; PSS counts what is shared in parts (the runtime's code, by all .NET programs of the machine; segments of the log, by those who map them).", Report());
        return _measurement.IsWhole;
    }

    private string Report()
    {
        var text = new Markdown().Title("By process, MiB");
        text.Table(["system ", "when ", "process ", "resident", "private", "PSS"], Figures.Of(session.Records, "memory", "system", "when", "role").Where(static r => r.Labels[2] != "agent")
            .Select(static r => new[] { r.Labels[0], r.Labels[1], r.Labels[2], r.Show("resident", "0.0"), r.Show("private", "0.0"), r.Show("pss", "0.0") }));
        var sums = Figures.Of(session.Records.Where(static r => (string?)r["role"] == "agent"), "memory", "system", "when", "processes");
        text.Title("All processes of the agent, MiB");
        text.Table(["system ", "when ", "processes", "resident", "private", "PSS"], sums.Select(static r => new[] { r.Labels[0], r.Labels[1], r.Labels[2], r.Show("resident", "0.0"), r.Show("private", "0.0"), r.Show("pss", "0.0") }));
        var floor = sums.Find(static r => r.Labels[0] == "empty program")!;
        Target.Table(text, from row in sums
                           where row != floor && row.Labels[1] != "after it"
                           select new Target($"{row.Labels[0]}, agent, {row.Labels[1]}: resident, times that of empty programs", Factor, AtMost: true, row["resident"].With(floor["resident"], static (ours, runtime) => ours / runtime)));
        return text.ToString();
    }

    private JsonObject UnderLoad(Contender contender, MeasuredSystem system, (string Role, int Pid)[] pids)
    {
        var shape = new Shape(4, 128);
        var expected = Path.Combine(session.Work, "expected.json");
        var most = Read(pids);
        var written = session.Load.Write(system.Directory, shape, 0, seconds, expected, _ =>
        {
            for (var i = 0; i < seconds; i++)
            {
                session.Cancel.WaitHandle.WaitOne(Interval);
                foreach (var (role, figures) in Read(pids))
                {
                    foreach (var name in figures!.AsObject().Select(static f => f.Key).ToArray())
                        most[role]![name] = Math.Max((double)most[role]![name]!, (double)figures[name]!);
                }
            }
        })["total"]!;
        _measurement.Await([system.Output], (long)written["bytes"]!);
        var run = new JsonObject { ["failed"] = (double)written["failed"]! };
        foreach (var (fault, times) in _measurement.Check(expected, system.Ways[0]))
            run[fault] = times;
        _measurement.Judge(contender, run);
        return most;
    }

    private static JsonObject Read((string Role, int Pid)[] pids)
    {
        var figures = new JsonObject();
        foreach (var (role, pid) in pids)
        {
            var one = ProcessFigures.Of(pid);
            figures[role] = new JsonObject { ["resident"] = one.Resident / 1024.0, ["private"] = one.Own / 1024.0, ["pss"] = ProcessFigures.Proportional(pid) / 1024.0 };
        }

        return figures;
    }

    private void Keep(string system, string when, int round, JsonObject figures, int agentProcesses)
    {
        JsonObject Record(string role) => session.Keep("memory", new() { ["system"] = system, ["when"] = when, ["role"] = role, ["round"] = round, ["processes"] = agentProcesses });
        foreach (var (role, one) in figures)
        {
            var record = Record(role);
            foreach (var (name, value) in one!.AsObject())
                record[name] = (double)value!;
        }

        var sum = Record("agent");
        foreach (var name in new[] { "resident", "private", "pss" })
            sum[name] = figures.Where(static f => f.Key.StartsWith("agent", StringComparison.Ordinal)).Sum(f => (double)f.Value![name]!);
    }
}
