namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The real thing on one machine: an agent with a mount, a collector with a file, TCP over loopback between them.</summary>
internal sealed class Street : MeasuredSystem
{
    private readonly ChildProgram _collector;
    private readonly ChildProgram _agent;

    /// <param name="match">Which files are carried; null for all.</param>
    public Street(string work, string hikyaku, string? match = null)
    {
        Directory = System.IO.Directory.CreateDirectory(Path.Combine(work, "mount")).FullName;
        Output = Path.Combine(work, "all.log");
        var port = FreePort();
        var collector = Path.Combine(work, "collector.yaml");
        File.WriteAllText(collector, $$"""
            state: {{work}}/collector-state
            host: collector
            receive:
              quota: 4GiB
              forward: { listen: 127.0.0.1:{{port}} }
            routes:
              - to:
                  file: { path: {{Output}} }
            """);
        var agent = Path.Combine(work, "agent.yaml");
        File.WriteAllText(agent, $$"""
            state: {{work}}/agent-state
            host: agent
            mounts:
              logs: { at: {{Directory}}, quota: 4GiB }
            routes:
              - from: logs
                {{(match is null ? "" : $"match: '{match}'")}}
                to:
                  forward: { servers: ["127.0.0.1:{{port}}"] }
            """);
        _collector = new ChildProgram(hikyaku, Path.Combine(work, "collector.txt"), "run", "-c", collector);
        try
        {
            _agent = new ChildProgram(hikyaku, Path.Combine(work, "agent.txt"), "run", "-c", agent);
        }
        catch
        {
            _collector.Dispose();
            throw;
        }

        try
        {
            AwaitMount(Directory, _agent);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override string Name => "Hikyaku";

    public override string Directory { get; }

    public override string Output { get; }

    public override IEnumerable<(string Role, int Pid)> Processes =>
        [.. ProcessFigures.Tree(_agent.Id, "agent supervisor"), .. ProcessFigures.Tree(_collector.Id, "collector")];

    public override bool HasDied => _agent.HasExited || _collector.HasExited;

    public override void Dispose()
    {
        _agent.Dispose();
        _collector.Dispose();
        Unmount(Directory);
    }
}
