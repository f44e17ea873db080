using System.Diagnostics;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>One running process. What it says goes to files, so that nobody waits for a pipe that its children still hold.</summary>
internal sealed class Command
{
    private readonly Process _process;
    private readonly string _output;
    private readonly string _errors;
    private readonly string _title;
    private readonly Scene _scene;

    public Command(Scene scene, int number, string program, string[] arguments)
    {
        _scene = scene;
        _title = $"{Path.GetFileName(program)} {string.Join(' ', arguments)}";
        _output = scene[$"{number}.out"];
        _errors = scene[$"{number}.err"];
        var start = new ProcessStartInfo("/bin/sh") { WorkingDirectory = scene.Folder };
        foreach (var argument in (string[])["-c", "out=$1 err=$2; shift 2; exec \"$@\" >\"$out\" 2>\"$err\" </dev/null", "sh", _output, _errors, program, .. arguments])
            start.ArgumentList.Add(argument);
        _process = Process.Start(start)!;
    }

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public string Output => Read(_output);

    public string Errors => Read(_errors);

    public string Said => Output + Errors;

    public void WaitForExit(TimeSpan? patience = null)
    {
        if (!_process.WaitForExit(patience ?? TimeSpan.FromSeconds(60)))
            throw new TimeoutException($"'{_title}' does not end.\n{_scene.Report()}");
    }

    public void Signal(int signal) => _ = Libc.Kill(Pid, signal);

    /// <summary>Asks it to stop and waits until it has.</summary>
    public int Stop(int signal = Libc.SIGTERM)
    {
        Signal(signal);
        WaitForExit();
        return ExitCode;
    }

    public void Kill()
    {
        Signal(Libc.SIGKILL);
        WaitForExit();
    }

    /// <summary>The child with this word in its command line; 0 when there is none.</summary>
    public int Child(string word) => ProcessTable.Children(Pid).FirstOrDefault(pid => ProcessTable.CommandLine(pid).Contains(word, StringComparison.Ordinal));

    /// <summary>Waits for a child with this word that is another than the given one.</summary>
    public int WaitForChild(string word, int notPid = 0)
    {
        var pid = 0;
        Eventually.Is(() => (pid = Child(word)) != 0 && pid != notPid, $"a child '{word}' of '{_title}'", _scene.Report);
        return pid;
    }

    public void WaitUntilSaid(string text) => Eventually.Is(() => Said.Contains(text, StringComparison.Ordinal), $"'{_title}' says '{text}'", _scene.Report);

    /// <summary>Gives it a little time to go, having been asked, and ends it.</summary>
    public void End()
    {
        if (!_process.WaitForExit(TimeSpan.FromSeconds(3)))
            Signal(Libc.SIGKILL);
    }

    public string Report()
    {
        var said = Said;
        return said.Length is 0 ? "" : $"--- {_title}\n{(said.Length > 4000 ? "...\n" + said[^4000..] : said)}";
    }

    private static string Read(string path) => File.Exists(path) ? File.ReadAllText(path) : "";
}
