using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Commands;

namespace Hikyaku.Supervision;

/// <summary>The hold of one running instance on its state directory; the kernel lets go of it when the process and its children have ended, however they end.</summary>
internal sealed unsafe class StateLock : IDisposable
{
    private const string FileName = "lock";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private int _fd;

    private StateLock(int fd) => _fd = fd;

    /// <summary>What children inherit, so that the hold lasts until the last of them is gone.</summary>
    public int Descriptor => _fd;

    /// <summary>Makes the directory (0700) and takes hold of it.</summary>
    /// <param name="patience">How long an instance that is just ending is waited for; 10 s by default.</param>
    /// <exception cref="CommandException">It is in use, or cannot be made.</exception>
    public static StateLock Take(string directory, TimeSpan? patience = null)
    {
        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        try
        {
            Directory.CreateDirectory(directory, OwnerOnly);
            File.SetUnixFileMode(directory, OwnerOnly);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Missing, $"cannot make the state directory {directory}: {e.Message}; name another one with 'state:' in the configuration");
        }
        var path = Path.Join(directory, FileName);
        var fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_CLOEXEC, 0x180);
        if (fd < 0)
            throw new CommandException(ExitCode.Missing, $"cannot open {path}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        if (!TryLock(fd, directory, patience ?? Patience))
        {
            var holder = ReadNumber(fd);
            _ = Libc.Close(fd);
            throw new CommandException(ExitCode.Missing, $"the state directory {directory} is in use by a running instance{(holder is { } pid ? $" (process {pid})" : "")}; stop that one, or name another directory with 'state:'");
        }
        // The number is only for messages; the lock itself is what counts.
        var text = Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");
        _ = Libc.FTruncate(fd, 0);
        fixed (byte* bytes = text)
            _ = Libc.Write(fd, bytes, (nuint)text.Length);
        return new StateLock(fd);
    }

    /// <summary>The process that holds the directory, or null when none does.</summary>
    public static int? Holder(string directory)
    {
        var path = Path.Join(directory, FileName);
        var fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return null;
        var holder = Libc.Flock(fd, Libc.LOCK_EX | Libc.LOCK_NB) < 0 ? ReadNumber(fd) : null;
        _ = Libc.Close(fd);
        return holder;
    }

    public void Dispose()
    {
        var fd = Interlocked.Exchange(ref _fd, -1);
        if (fd >= 0)
            _ = Libc.Close(fd);
    }

    // Whoever only looks for the holder has the lock for an instant; an instance that was just unmounted, for some seconds.
    private static bool TryLock(int fd, string directory, TimeSpan patience)
    {
        var sayAfter = Stopwatch.GetTimestamp() + Stopwatch.Frequency / 2;
        var until = Stopwatch.GetTimestamp() + (long)(patience.TotalSeconds * Stopwatch.Frequency);
        while (Libc.Flock(fd, Libc.LOCK_EX | Libc.LOCK_NB) < 0)
        {
            var now = Stopwatch.GetTimestamp();
            if (now >= until)
                return false;
            if (now >= sayAfter)
            {
                Journal.Info("run", $"the state directory {directory} is still in use; waiting up to {patience.TotalSeconds:0} s for the instance before to end");
                sayAfter = long.MaxValue;
            }
            Thread.Sleep(Pause);
        }
        return true;
    }

    // Not through File: it takes locks of its own on what it opens.
    private static int? ReadNumber(int fd)
    {
        var text = stackalloc byte[16];
        var length = Libc.Read(fd, text, 16);
        return length > 0 && int.TryParse(new ReadOnlySpan<byte>(text, (int)length).TrimEnd((byte)'\n'), CultureInfo.InvariantCulture, out var pid) ? pid : null;
    }
}
