using System.Net.Sockets;
using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>An agent with a mount and a collector with one file, both on this machine, from a mount point to that file.</summary>
internal sealed class Street
{
    /// <summary>What is in the command line of the process behind the mount.</summary>
    public const string MountChild = "serve-mount";

    /// <summary>What is in the command line of the process that reads the log.</summary>
    public const string TransferChild = "serve-transfer";

    /// <param name="mountLines">Further keys of the mount, such as "when_full: block".</param>
    /// <param name="routeLines">Further keys of the agent's route, such as "match: '*.log'".</param>
    public Street(Scene scene, string mountLines = "", string receiveLines = "", string? agentState = null, string? output = null, string routeLines = "")
    {
        Scene = scene;
        Port = Scene.FreePort();
        MountPoint = scene.MakeFolder("mnt");
        Output = output ?? scene["out.log"];
        AgentState = agentState ?? scene["agent-state"];
        CollectorState = scene["collector-state"];
        AgentFile = scene.Write("agent.yaml", $"""
            state: {AgentState}
            host: agent.example.com
            mounts:
              logs:
                at: {MountPoint}
                {mountLines}
            routes:
              - name: street
                from: logs
                {routeLines}
                to:
                  forward: {"{"} servers: ["127.0.0.1:{Port}"] {"}"}
            """);
        CollectorFile = scene.Write("collector.yaml", $"""
            state: {CollectorState}
            receive:
              forward:
                listen: 127.0.0.1:{Port}
              {receiveLines}
            routes:
              - name: all
                to:
                  file: {"{"} path: "{Output}" {"}"}
            """);
    }

    public Scene Scene { get; }
    public int Port { get; }
    public string MountPoint { get; }
    public string Output { get; }
    public string AgentState { get; }
    public string CollectorState { get; }
    public string AgentLog => Path.Join(AgentState, "logs/logs");
    public string AgentFile { get; }
    public string CollectorFile { get; }
    public Command Agent { get; private set; } = null!;
    public Command Collector { get; private set; } = null!;

    public Street Open()
    {
        StartCollector();
        StartAgent();
        return this;
    }

    public Command StartCollector()
    {
        Collector = Scene.Hikyaku("run", "-c", CollectorFile);
        Eventually.Is(() => Collector.HasExited || IsListening(Port), $"a listener on {Port}", Scene.Report);
        Assert.False(Collector.HasExited, Scene.Report());
        return Collector;
    }

    public Command StartAgent()
    {
        Agent = Scene.Hikyaku("run", "-c", AgentFile);
        Eventually.Is(() => Agent.HasExited || Mounts.IsMounted(MountPoint), $"a mount at {MountPoint}", Scene.Report);
        Assert.False(Agent.HasExited, Scene.Report());
        return Agent;
    }

    /// <summary>Appends a line through the mount, as a shell does.</summary>
    public void Echo(string line, string file = "access.log") => Scene.ShellOk($"echo '{line}' >> {MountPoint}/{file}");

    /// <summary>The collector's file, byte for byte as Latin-1.</summary>
    public string Arrived() => File.Exists(Output) ? File.ReadAllText(Output, System.Text.Encoding.Latin1) : "";

    public void WaitForLine(string line) =>
        Eventually.Is(() => $"\n{Tail()}".Contains($"\n{line}\n", StringComparison.Ordinal), $"the line '{line}' in {Output}", Scene.Report);

    // The file may be large, and what is waited for stands at its end.
    private string Tail()
    {
        if (!File.Exists(Output))
            return "";
        using var file = File.OpenRead(Output);
        file.Seek(-Math.Min(file.Length, 1 << 16), SeekOrigin.End);
        using var reader = new StreamReader(file, System.Text.Encoding.Latin1);
        return reader.ReadToEnd();
    }

    /// <summary>A line of now gets through: what every test ends with that has broken something.</summary>
    public void AssertFreshLineArrives()
    {
        var line = $"fresh {Guid.NewGuid():N}";
        Echo(line, "fresh.log");
        WaitForLine(line);
        // Whatever else was on its way had been there before it.
        Assert.EndsWith(line + "\n", Tail(), StringComparison.Ordinal);
    }

    /// <summary>Ends both and finds an ordinary directory where the mount was.</summary>
    public void CloseCleanly()
    {
        Assert.True(Agent.Stop() == 0, Scene.Report());
        Assert.False(Mounts.IsMounted(MountPoint), Scene.Report());
        Assert.True(Collector.Stop() == 0, Scene.Report());
    }

    private static bool IsListening(int port)
    {
        // Asking the table instead of connecting: a connection would be one more peer.
        var wanted = $":{port:X4} ";
        return File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6")).Any(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var local, _, "0A", ..] && (local + " ").EndsWith(wanted, StringComparison.Ordinal));
    }
}
