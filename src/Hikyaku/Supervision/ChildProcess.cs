using System.Diagnostics;

namespace Hikyaku.Supervision;

/// <summary>
/// A child of this program: it inherits the descriptors it is given and no others, and stops cleanly when its standard input ends,
/// be it because we say so or because we are gone.
/// </summary>
internal sealed class ChildProcess : IDisposable
{
    public const string ReadyLine = "ready";

    // A descriptor is inheritable only while its child is started, so no other child may be started meanwhile.
    private static readonly Lock Gate = new();

    private readonly Process _process;

    private ChildProcess(Process process)
    {
        _process = process;
        Id = process.Id;
        Ready = Task.Run(ReadReady);
        Exited = WaitAsync();
    }

    public int Id { get; }

    /// <summary>True once the child has said that it works; false when it ended without.</summary>
    public Task<bool> Ready { get; }

    /// <summary>The exit code; 128 plus the signal when it was killed.</summary>
    public Task<int> Exited { get; }

    /// <summary>This program itself, as the first words of a command line.</summary>
    public static IReadOnlyList<string> Self { get; } =
        Path.GetFileName(Environment.ProcessPath) is "dotnet" ? [Environment.ProcessPath!, Path.Join(AppContext.BaseDirectory, "hikyaku.dll")] : [Environment.ProcessPath!];

    /// <summary>
    /// Keeps what whoever started us had open from all our children: they would hold it for as long as they live. To be called
    /// before the first of them is started.
    /// </summary>
    /// <param name="from">The lowest descriptor meant.</param>
    public static void KeepFromChildren(uint from = 3)
    {
        lock (Gate)
            _ = Libc.CloseRange(from, uint.MaxValue, Libc.CLOSE_RANGE_CLOEXEC);
    }

    /// <exception cref="System.ComponentModel.Win32Exception">The program cannot be started.</exception>
    public static ChildProcess Start(IReadOnlyList<string> command, params ReadOnlySpan<int> inherited)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        lock (Gate)
        {
            foreach (var fd in inherited)
                _ = Libc.Fcntl(fd, Libc.F_SETFD, 0);
            try
            {
                return new ChildProcess(Process.Start(start)!);
            }
            finally
            {
                foreach (var fd in inherited)
                    _ = Libc.Fcntl(fd, Libc.F_SETFD, Libc.FD_CLOEXEC);
            }
        }
    }

    /// <summary>Ends its standard input: it finishes what it does and goes.</summary>
    public void AskToStop()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            // It is gone already.
        }
    }

    public void Kill()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It is gone already.
        }
    }

    /// <summary>Asks, waits, kills. Returns whether it went by itself.</summary>
    public async Task<bool> StopAsync(TimeSpan patience)
    {
        AskToStop();
        var done = await Task.WhenAny(Exited, Task.Delay(patience)) == Exited;
        if (!done)
            Kill();
        await Exited;
        return done;
    }

    public void Dispose() => _process.Dispose();

    private bool ReadReady()
    {
        try
        {
            return _process.StandardOutput.ReadLine() is ReadyLine;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            return false;
        }
    }

    private async Task<int> WaitAsync()
    {
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }
}
