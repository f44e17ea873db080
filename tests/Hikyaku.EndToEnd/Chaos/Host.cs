using System.Globalization;
using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd.Chaos;

/// <summary>One host of a network with hikyaku on it, which is started again when it was killed, as an init system does.</summary>
internal sealed class Host
{
    private readonly Scene _scene;
    private readonly Network _network;
    private readonly string _file;
    private bool _killed;

    public Host(Scene scene, Network network, string name, string configuration)
    {
        (_scene, _network, Name) = (scene, network, name);
        State = scene[$"{name}/state"];
        scene.MakeFolder(name);
        _file = scene.Write($"{name}.yaml", $"state: {State}\nhost: {name}\n{configuration}");
    }

    public string Name { get; }

    public string State { get; }

    public Command Run { get; private set; } = null!;

    /// <summary>How often it was started after the first time.</summary>
    public int Restarts { get; private set; }

    public Host Start()
    {
        string[] words = [.. _network.Enter(Name), Checkout.Program, "run", "-c", _file];
        Run = _scene.Start(words[0], words[1..]);
        _killed = false;
        return this;
    }

    public void Kill()
    {
        _killed = true;
        Run.Signal(Libc.SIGKILL);
    }

    /// <summary>To be called again and again: starts it when it was killed; that it ended by itself is an error.</summary>
    public void Look()
    {
        if (!Run.HasExited)
            return;
        Assert.True(_killed, $"'{Name}' has ended with {Run.ExitCode}, and nobody had killed it.\n{_scene.Report()}");
        Restarts++;
        Start();
    }

    /// <summary>What is not as it should be, by the status command; empty when all is well and nothing waits.</summary>
    public string Complaints(out string page)
    {
        var command = _scene.RunHikyaku("status", "-c", _file);
        page = command.Output;
        string[] bad = ["LOSS", "PROBLEM", "NOT ", " LOST", "FULL", "WAIT FOR ROOM", "queued, the oldest", "in flight"];
        return command.ExitCode is 0
            ? string.Join('\n', page.Split('\n').Where(line => bad.Any(word => line.Contains(word, StringComparison.Ordinal)) && !line.Contains("carried in pieces", StringComparison.Ordinal)))
            : string.Create(CultureInfo.InvariantCulture, $"status ended with {command.ExitCode}: {command.Errors}");
    }
}
