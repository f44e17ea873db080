using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A program that runs until it is told to stop. What it says goes to a file of its own.</summary>
internal sealed partial class ChildProgram : IDisposable
{
    public const int SigTerm = 15;
    public const int SigHup = 1;
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(20);

    private readonly Process _process;
    private readonly StreamWriter _log;
    private readonly string _logPath;

    public ChildProgram(string program, string logPath, params string[] arguments)
    {
        _logPath = logPath;
        _log = new StreamWriter(logPath) { AutoFlush = true };
        _process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true })!;
        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Throws with what the program said if it has ended.</summary>
    public void Check()
    {
        if (!_process.HasExited)
            return;
        _process.WaitForExit();
        throw new ComparisonException($"{_process.StartInfo.FileName} {string.Join(' ', _process.StartInfo.ArgumentList)} ended with code {_process.ExitCode}:\n{Said()}");
    }

    public string Said()
    {
        lock (_log)
            return File.ReadAllText(_logPath);
    }

    /// <summary>Asks it to stop and waits; ends it and its children by their ids when it does not.</summary>
    public void Dispose()
    {
        if (!_process.HasExited)
            Signal(_process.Id, SigTerm);
        if (!_process.WaitForExit(StopTime))
        {
            Console.Error.WriteLine($"{_process.StartInfo.FileName} did not stop within {StopTime.TotalSeconds} s and is killed");
            _process.Kill(entireProcessTree: true);
        }

        _process.WaitForExit();
        _process.Dispose();
        lock (_log)
            _log.Dispose();
    }

    public static void Signal(int pid, int signal) => _ = Kill(pid, signal);

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_log)
        {
            if (line.Data is not null)
                _log.WriteLine(line.Data);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int pid, int signal);
}
