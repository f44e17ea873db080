using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>
/// A folder of its own for one test, and everything that runs and is mounted in it. At the end, or when the test's time is
/// over, all of it is ended and unmounted; a test that hangs gets errors instead of blocking the run.
/// </summary>
internal sealed class Scene : IDisposable
{
    private readonly List<Command> _commands = [];
    private readonly Timer _limit;
    private bool _over;

    public Scene(int seconds = 100)
    {
        // What has to be built is built on no test's time.
        _ = (Checkout.Program, Checkout.Load);
        Folder = Directory.CreateTempSubdirectory("hikyaku-e2e-").FullName;
        // A user other than the one who runs the tests takes part in some of them.
        File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        _limit = new Timer(_ => End(), null, TimeSpan.FromSeconds(seconds), Timeout.InfiniteTimeSpan);
    }

    public string Folder { get; }

    public string this[string name] => Path.Join(Folder, name);

    public string MakeFolder(string name) => Directory.CreateDirectory(this[name]).FullName;

    public string Write(string name, string content)
    {
        File.WriteAllText(this[name], content);
        return this[name];
    }

    /// <summary>Starts hikyaku.</summary>
    public Command Hikyaku(params string[] arguments) => Start(Checkout.Program, arguments);

    /// <summary>Runs hikyaku to its end.</summary>
    public Command RunHikyaku(params string[] arguments)
    {
        var command = Hikyaku(arguments);
        command.WaitForExit();
        return command;
    }

    public Command Start(string program, params string[] arguments)
    {
        lock (_commands)
        {
            if (_over)
                throw new TimeoutException("The time of this test is over.");
            var command = new Command(this, _commands.Count, program, arguments);
            _commands.Add(command);
            return command;
        }
    }

    /// <summary>Runs a shell command to its end, whatever its exit code.</summary>
    public Command Shell(string script)
    {
        var command = Start("/bin/sh", "-c", script);
        command.WaitForExit();
        return command;
    }

    /// <summary>Runs a shell command that must succeed; its output without the last newline.</summary>
    public string ShellOk(string script)
    {
        var command = Shell(script);
        if (command.ExitCode != 0)
            throw new InvalidOperationException($"'{script}' ended with {command.ExitCode}: {command.Errors}\n{Report()}");
        return command.Output.TrimEnd('\n');
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>What all processes have said: for the message of a failed test.</summary>
    public string Report()
    {
        lock (_commands)
            // Whoever was asked again and again has said the same each time.
            return string.Concat(_commands.Select(c => c.Report()).Distinct());
    }

    public void Dispose()
    {
        _limit.Dispose();
        End();
        Eventually.Is(() => !ProcessTable.Naming(Folder).Any(), $"the end of all processes in {Folder}", Report);
        // Programs may have left names that .NET cannot remove; an exception here would take the place of what the test has to say.
        using var removal = Process.Start("rm", ["-rf", "--one-file-system", "--", Folder]);
        removal.WaitForExit();
    }

    private void End()
    {
        lock (_commands)
        {
            _over = true;
            // First asked, then killed, then cut off from the mount they may hang in.
            foreach (var command in _commands.Where(c => !c.HasExited))
                command.Signal(Libc.SIGTERM);
            foreach (var command in _commands)
                command.End();
            // Orphans: everything we start has the folder in its command line.
            foreach (var pid in ProcessTable.Naming(Folder))
                _ = Libc.Kill(pid, Libc.SIGKILL);
            Mounts.Clear(Folder);
        }
    }
}
