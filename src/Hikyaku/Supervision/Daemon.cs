using System.Diagnostics;
using Hikyaku.Commands;

namespace Hikyaku.Supervision;

/// <summary>An instance that goes on in the background once it works; it writes its journal to a file in its state directory.</summary>
internal static class Daemon
{
    private const long JournalBytesMax = 1 << 20;

    private static readonly TimeSpan RotationPeriod = TimeSpan.FromMinutes(1);

    private static Timer? _rotation;

    /// <summary>Starts this program once more, detached, and waits until it works or has failed; returns the exit code.</summary>
    public static int Start(string state, IEnumerable<string> arguments)
    {
        var journal = InstancePaths.DaemonJournal(state);
        var before = File.Exists(journal) ? new FileInfo(journal).Length : 0;
        var start = new ProcessStartInfo(ChildProcess.Self[0], [.. ChildProcess.Self.Skip(1), .. arguments]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        if (process.StandardOutput.ReadLine() is ChildProcess.ReadyLine)
            return ExitCode.Ok;
        process.WaitForExit();
        if (File.Exists(journal))
        {
            using var said = new FileStream(journal, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            said.Position = Math.Min(before, said.Length);
            said.CopyTo(Console.OpenStandardError());
        }
        return process.ExitCode is ExitCode.Ok ? ExitCode.Failed : process.ExitCode;
    }

    /// <summary>The other side of <see cref="Start"/>: leaves the terminal. The result is to be called when everything works.</summary>
    public static Action Enter(string state)
    {
        _ = Libc.SetSid();
        Directory.CreateDirectory(state, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.SetCurrentDirectory("/");
        var journal = InstancePaths.DaemonJournal(state);
        Redirect(journal, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND, 2);
        _rotation = new Timer(_ => Rotate(journal), null, TimeSpan.Zero, RotationPeriod);
        return () =>
        {
            ChildLife.TellReady();
            Redirect("/dev/null", Libc.O_RDWR, 0);
            Redirect("/dev/null", Libc.O_RDWR, 1);
        };
    }

    // Children write to the same open file, so that it cannot be replaced, only copied and cut; all of them append.
    private static void Rotate(string journal)
    {
        try
        {
            if (new FileInfo(journal).Length <= JournalBytesMax)
                return;
            File.Copy(journal, journal + ".1", overwrite: true);
            _ = Libc.FTruncate(2, 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Journal.Warn("run", $"{journal} grows beyond {JournalBytesMax >> 20} MiB: {e.Message}");
        }
    }

    private static void Redirect(string path, int flags, int to)
    {
        var fd = Libc.Open(path, flags | Libc.O_CLOEXEC, 0x180);
        if (fd < 0)
            return;
        _ = Libc.Dup2(fd, to);
        _ = Libc.Close(fd);
    }
}
