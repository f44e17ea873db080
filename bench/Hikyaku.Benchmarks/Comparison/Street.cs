using System.Diagnostics;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The real thing on one machine: agents with a mount each, collectors with files, TCP over loopback between them.</summary>
internal sealed class Street : MeasuredSystem
{
    public const string Direct = "Hikyaku direct";
    public const string Passthrough = "Hikyaku passthrough";

    private readonly string _work;
    private readonly string _hikyaku;
    private readonly StreetPlan _plan;
    private readonly List<(string Config, int Port)> _places = [];
    private readonly List<ChildProgram> _collectors = [];
    private readonly List<(ChildProgram Program, string Mount)> _agents = [];

    /// <param name="work">A directory of its own.</param>
    /// <param name="hikyaku">The program.</param>
    /// <param name="plan">What the street consists of.</param>
    public Street(string work, string hikyaku, StreetPlan plan)
    {
        (_work, _hikyaku, _plan) = (work, hikyaku, plan);
        for (var r = 0; r < plan.Receivers; r++)
            _places.Add((Path.Combine(work, $"collector{r}.yaml"), FreePort()));
        try
        {
            if (!plan.CollectorsLater)
                StartCollectors();
            for (var a = 0; a < plan.Agents; a++)
                StartAgent(a);
            Ways = [.. from agent in Enumerable.Range(0, plan.Agents)
                       from folder in plan.Folders
                       select new Way(Path.Combine(Mount(agent), folder), [.. Enumerable.Range(0, plan.Receivers).Select(r => Arrival(r, $"agent{agent}", folder))])];
            foreach (var way in Ways)
            {
                System.IO.Directory.CreateDirectory(way.Directory);
                foreach (var output in way.Outputs)
                    System.IO.Directory.CreateDirectory(Path.GetDirectoryName(output)!);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override IReadOnlyList<Way> Ways { get; } = [];

    public override IEnumerable<(string Role, int Pid)> Processes =>
        [.. _agents.SelectMany(static a => ProcessFigures.Tree(a.Program.Id, "agent supervisor")), .. _collectors.SelectMany(static c => ProcessFigures.Tree(c.Id, "collector"))];

    public override bool HasDied => _agents.Exists(static a => a.Program.HasExited) || _collectors.Exists(static c => c.HasExited);

    /// <summary>Why the program does not take such a plan, or does not do here what it says; null if it does.</summary>
    public static string? Refusal(string work, string hikyaku, StreetPlan plan)
    {
        var config = Path.Combine(work, "checked.yaml");
        File.WriteAllText(config, AgentText(plan, work, System.IO.Directory.CreateDirectory(Path.Combine(work, "checked")).FullName, 0, ["127.0.0.1:1"]));
        using var check = Process.Start(new ProcessStartInfo(hikyaku, ["check", config]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var errors = check.StandardError.ReadToEndAsync();
        var output = check.StandardOutput.ReadToEnd();
        check.WaitForExit();
        if (check.ExitCode != 0)
            return (errors.Result + output).Trim().Split('\n')[0].Replace(config, "the configuration", StringComparison.Ordinal);
        // Without the kernel's help files are captured directly, and the agent says so when it meets the first one.
        using var street = new Street(work, hikyaku, plan with { CollectorsLater = true });
        File.WriteAllText(Path.Combine(street.Directory, "first.log"), "a line\n");
        return Array.Find(street._agents[0].Program.Said().Split('\n'), static line => line.Contains("captured as all others", StringComparison.Ordinal));
    }

    /// <summary>For plans whose collectors come later.</summary>
    public void StartCollectors()
    {
        for (var r = 0; r < _places.Count; r++)
        {
            var (config, port) = _places[r];
            var routes = _plan.Folders.Select(f =>
                $"  - {{ name: all{f}, {(f.Length > 0 ? $"match: \"/{f}/**\", " : "")}to: {{ file: {{ path: \"{Arrival(r, _plan.Agents > 1 ? "{host}" : "agent0", f)}\" }} }} }}\n");
            File.WriteAllText(config, $$"""
                state: {{_work}}/collector{{r}}-state
                host: collector{{r}}
                receive:
                  quota: 4GiB
                  forward: { listen: 127.0.0.1:{{port}} }
                routes:
                {{string.Concat(routes)}}
                """);
            _collectors.Add(new ChildProgram(_hikyaku, Path.Combine(_work, $"collector{r}.txt"), "run", "-c", config));
        }

        for (var r = 0; r < _places.Count; r++)
            AwaitListener(_places[r].Port, _collectors[r]);
    }

    public override void Dispose()
    {
        foreach (var (program, mount) in _agents)
        {
            program.Dispose();
            Unmount(mount);
        }

        _collectors.ForEach(static c => c.Dispose());
    }

    private string Mount(int agent) => Path.Combine(_work, $"mount{agent}");

    private string Arrival(int receiver, string host, string folder) => Path.Combine(_work, $"out{receiver}", $"{host}{(folder.Length > 0 ? "-" : "")}{folder}.log");

    private void StartAgent(int number)
    {
        var mount = System.IO.Directory.CreateDirectory(Mount(number)).FullName;
        var config = Path.Combine(_work, $"agent{number}.yaml");
        File.WriteAllText(config, AgentText(_plan, _work, mount, number, _places.Select(static p => $"127.0.0.1:{p.Port}")));
        var program = new ChildProgram(_hikyaku, Path.Combine(_work, $"agent{number}.txt"), "run", "-c", config);
        _agents.Add((program, mount));
        AwaitMount(mount, program);
    }

    private static string AgentText(StreetPlan plan, string work, string mount, int number, IEnumerable<string> servers)
    {
        var to = $$"""to: { forward: { servers: [{{string.Join(", ", servers.Select(static s => $"\"{s}\""))}}], compress: {{plan.Compress}} } }""";
        // Each route takes its part of the writers, so that every line has one.
        string Match(int route) => plan.Match is { } match ? $"match: \"{match}\", "
            : plan.Routes == 0 ? ""
            : $"match: [{string.Join(", ", Enumerable.Range(0, 64).Where(w => w % plan.Routes == route).Select(static w => $"\"w{w}.log\", \"w{w}-*.log\""))}], ";
        var routes = Enumerable.Range(0, Math.Max(1, plan.Routes)).Select(r => $"  - {{ name: r{r}, from: logs, {Match(r)}{to} }}\n");
        return $$"""
            state: {{work}}/agent{{number}}-state
            host: agent{{number}}
            mounts:
              logs: { at: {{mount}}, quota: {{plan.QuotaGiB}}GiB{{(plan.Passthrough ? ", passthrough: [\"*\"]" : "")}} }
            routes:
            {{string.Concat(routes)}}
            """;
    }
}

/// <summary>What a street consists of.</summary>
internal sealed record StreetPlan
{
    /// <summary>Every file of the mount is written past the log.</summary>
    public bool Passthrough { get; init; }

    /// <summary>Each with processes and a mount of its own.</summary>
    public int Agents { get; init; } = 1;

    /// <summary>Each with its own processes and files; every agent sends to all of them.</summary>
    public int Receivers { get; init; } = 1;

    /// <summary>Routes of each agent, each of which takes its part of the files; 0 is one that takes all.</summary>
    public int Routes { get; init; }

    /// <summary>How chunks are compressed on their way.</summary>
    public string Compress { get; init; } = "none";

    /// <summary>The pattern of the files that are carried; null for all.</summary>
    public string? Match { get; init; }

    /// <summary>Folders below each mount; the lines of each arrive in a file of their own.</summary>
    public string[] Folders { get; init; } = [""];

    /// <summary>Quota of an agent's log.</summary>
    public int QuotaGiB { get; init; } = 4;

    /// <summary>Collectors are started when they are asked for.</summary>
    public bool CollectorsLater { get; init; }

    public string Name => Passthrough ? Street.Passthrough : Street.Direct;
}
