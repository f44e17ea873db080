using System.Diagnostics;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary>One <c>hikyaku run</c> as a process of its own, with its journal.</summary>
internal sealed class TryNode : IDisposable
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly TaskCompletionSource _running = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _said = [];

    public TryNode(string configuration)
    {
        var start = new ProcessStartInfo(ChildProcess.Self[0], [.. ChildProcess.Self.Skip(1), "run", "-c", configuration]) { UseShellExecute = false, RedirectStandardError = true };
        _process = new Process { StartInfo = start };
        _process.ErrorDataReceived += (_, e) => Hear(e.Data);
        _process.Start();
        _process.BeginErrorReadLine();
    }

    /// <summary>Its journal so far.</summary>
    public IReadOnlyList<string> Said
    {
        get
        {
            lock (_said)
                return [.. _said];
        }
    }

    /// <summary>Null once it runs; its exit code when it ended instead.</summary>
    public async Task<int?> RunningAsync(TimeSpan patience)
    {
        var ended = _process.WaitForExitAsync();
        var first = await Task.WhenAny(_running.Task, ended, Task.Delay(patience));
        if (first == _running.Task)
            return null;
        if (first == ended)
            return _process.ExitCode;
        lock (_said)
            _said.Add($"hikyaku: not running after {patience.TotalSeconds:0} s");
        return ExitCode.Failed;
    }

    public async Task StopAsync()
    {
        if (!_process.HasExited)
            _ = Libc.Kill(_process.Id, Libc.SIGTERM);
        using var patience = new CancellationTokenSource(StopPatience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }
    }

    public void Dispose() => _process.Dispose();

    private void Hear(string? line)
    {
        if (line is null)
            return;
        lock (_said)
            _said.Add(line);
        if (line.Contains(Instance.RunningWords, StringComparison.Ordinal))
            _running.TrySetResult();
    }
}
