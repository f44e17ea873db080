using System.Collections;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Hikyaku.Transfer.Plugins;

/// <summary>
/// A running plugin, of one thread: that started it and serves it until it has ended. Its standard input is a pipe, of which we can tell how
/// much it has not read; what it says on its standard error, and on its standard output where nobody else wants that, is told by its voices.
/// </summary>
internal sealed unsafe class PluginProcess : IDisposable
{
    private const int PipeBytes = 256 << 10;
    private const int HearBytes = 16 << 10;
    private static readonly TimeSpan TermPatience = TimeSpan.FromSeconds(2);

    private readonly PluginCommand _command;
    private readonly PluginBell _bell;
    private readonly PluginVoice _errors;
    private readonly PluginVoice? _outputs;
    private readonly byte[] _heard = new byte[HearBytes];
    private readonly int _process;
    private readonly int _ended; // a pidfd
    private int _in; // the end we write; after CloseIn the end it reads, that nobody reads from but it
    private int _out = -1;
    private int _error = -1;
    private int _unread;
    private bool _isClosed;
    private bool _isReaped;
    private long _patience = long.MaxValue; // when it is asked more firmly to go
    private int _nextSignal = Libc.SIGTERM;

    /// <summary>Starts it. The thread that does must live as long as the process: its end is a sign of our death to the launcher.</summary>
    /// <param name="output">Becomes its standard output; -1: a pipe of ours.</param>
    /// <param name="readsOutput">The caller reads what comes out of that pipe.</param>
    /// <exception cref="IOException">It cannot be started.</exception>
    public PluginProcess(PluginCommand command, int output, bool readsOutput, PluginBell bell, string name, Action<string> report)
    {
        _command = command;
        _bell = bell;
        _errors = new PluginVoice(name, report);
        _outputs = output < 0 && !readsOutput ? new PluginVoice(name, report) : null;
        var theirs = stackalloc int[3] { -1, output, -1 };
        _in = -1;
        try
        {
            MakePipe(out theirs[0], out _in);
            _ = Libc.Fcntl(_in, Libc.F_SETPIPE_SZ, PipeBytes);
            if (output < 0)
                MakePipe(out _out, out theirs[1]);
            MakePipe(out _error, out theirs[2]);
            SetNonBlocking(_in);
            SetNonBlocking(_error);
            if (_out >= 0)
                SetNonBlocking(_out);
            _process = Spawn(theirs);
            _ended = Libc.OpenProcess(_process);
            if (_ended < 0)
            {
                var error = Libc.Error;
                _ = Libc.Kill(_process, Libc.SIGKILL);
                Reap();
                throw Failure(error);
            }
        }
        catch
        {
            CloseAll();
            throw;
        }
        finally
        {
            for (var i = 0; i < 3; i++)
            {
                if (theirs[i] >= 0 && theirs[i] != output)
                    _ = Libc.Close(theirs[i]);
            }
        }
    }

    public int Id => _process;

    /// <summary>Its input has ended.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Bytes that we have written and it has not read.</summary>
    public int Unread
    {
        get
        {
            int count;
            if (Libc.Ioctl(_in, Libc.FIONREAD, &count) == 0)
                _unread = count;
            return _unread;
        }
    }

    /// <summary>Writes as much as there is room for; -1: it does not read any more.</summary>
    public int Write(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            var written = Libc.Write(_in, start, (nuint)bytes.Length);
            _unread += (int)Math.Max(written, 0);
            return written >= 0 ? (int)written : Libc.Error is Libc.EAGAIN or Libc.EINTR ? 0 : -1;
        }
    }

    /// <summary>Reads what it has put out; 0: nothing is there now; -1: nothing will come any more.</summary>
    public int Read(Span<byte> target)
    {
        var count = _out < 0 ? -1 : Read(_out, target);
        if (count < 0 && _out >= 0)
        {
            _ = Libc.Close(_out);
            _out = -1;
        }

        return count;
    }

    /// <summary>Waits until there is something to do or the time is over, and tells what it says. True: it has ended.</summary>
    /// <param name="toWrite">Room in its input is something to do.</param>
    public bool Wait(bool toWrite, TimeSpan longest)
    {
        var now = Environment.TickCount64;
        if (_patience != long.MaxValue)
        {
            if (now >= _patience)
            {
                Kill(_nextSignal);
                _patience = _nextSignal == Libc.SIGKILL ? long.MaxValue : now + (long)TermPatience.TotalMilliseconds;
                _nextSignal = Libc.SIGKILL;
            }

            longest = TimeSpan.FromMilliseconds(Math.Min(longest.TotalMilliseconds, Math.Max(_patience - now, 0)));
        }

        var fds = stackalloc Libc.PollFd[5];
        fds[0] = new Libc.PollFd { Fd = _bell.Fd, Events = Libc.POLLIN };
        fds[1] = new Libc.PollFd { Fd = _ended, Events = Libc.POLLIN };
        fds[2] = new Libc.PollFd { Fd = _error, Events = Libc.POLLIN };
        fds[3] = new Libc.PollFd { Fd = _out, Events = Libc.POLLIN };
        fds[4] = new Libc.PollFd { Fd = toWrite && !_isClosed ? _in : -1, Events = Libc.POLLOUT };
        if (Libc.Poll(fds, 5, (int)Math.Ceiling(longest.TotalMilliseconds)) < 0)
            return false;
        if (fds[0].Found != 0)
            _bell.Clear();
        if (fds[2].Found != 0)
            Hear(ref _error, _errors);
        if (fds[3].Found != 0 && _outputs is not null)
            Hear(ref _out, _outputs);
        return fds[1].Found != 0;
    }

    /// <summary>Ends its input. If it is still there after so long it is told to end (SIGTERM), and two seconds later ended.</summary>
    public void CloseIn(TimeSpan patience)
    {
        if (_isClosed)
            return;
        // Another reading end, which nobody reads from, tells what it has left unread.
        var reading = Libc.Open(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{_in}"), Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0);
        _ = Libc.Close(_in);
        _in = reading;
        _isClosed = true;
        _patience = Environment.TickCount64 + (long)patience.TotalMilliseconds;
    }

    /// <summary>Ends it, and what it has started in its group.</summary>
    public void Kill(int signal)
    {
        if (!_isReaped)
            _ = Libc.Kill(-_process, signal);
    }

    /// <summary>Takes leave of one that has ended. Returns how, in words; null: as it should.</summary>
    public string? Reap()
    {
        if (_isReaped)
            return null;
        if (_error >= 0)
            Hear(ref _error, _errors);
        if (_out >= 0 && _outputs is not null)
            Hear(ref _out, _outputs);
        _errors.End();
        _outputs?.End();
        // What it has started does not outlive it. Its number is its own until it is reaped.
        _ = Libc.Kill(-_process, Libc.SIGTERM);
        int status;
        int found;
        do
            found = Libc.WaitPid(_process, &status, 0);
        while (found < 0 && Libc.Error == Libc.EINTR);
        _isReaped = true;
        if (found < 0)
            return "ended, nobody knows how";
        return (status & 0x7f) != 0 ? $"was killed by signal {status & 0x7f}" : status >> 8 != 0 ? $"ended with status {status >> 8}" : null;
    }

    /// <summary>Kills it if it has not ended yet.</summary>
    public void Dispose()
    {
        if (!_isReaped)
        {
            Kill(Libc.SIGKILL);
            Reap();
        }

        CloseAll();
    }

    private static int Read(int fd, Span<byte> target)
    {
        fixed (byte* start = target)
        {
            var read = Libc.Read(fd, start, (nuint)target.Length);
            return read > 0 ? (int)read : read < 0 && Libc.Error is Libc.EAGAIN or Libc.EINTR ? 0 : -1;
        }
    }

    private void Hear(ref int fd, PluginVoice voice)
    {
        // Not for ever: one that floods us must not keep its input from being written.
        for (var i = 0; i < 16; i++)
        {
            var count = Read(fd, _heard);
            if (count == 0)
                return;
            if (count < 0)
            {
                _ = Libc.Close(fd);
                fd = -1;
                return;
            }

            voice.Hear(_heard.AsSpan(0, count));
        }
    }

    private int Spawn(int* descriptors)
    {
        var words = (IReadOnlyList<string>)[.. _command.Launcher, .. _command.Words];
        byte* actions = stackalloc byte[Libc.OpaqueBytes], attributes = stackalloc byte[Libc.OpaqueBytes], signals = stackalloc byte[Libc.OpaqueBytes];
        byte** arguments = null, environment = null;
        int process;
        _ = Libc.InitActions(actions);
        _ = Libc.InitAttributes(attributes);
        try
        {
            arguments = Strings(words);
            environment = Strings(Variables());
            for (var i = 0; i < 3; i++)
                _ = Libc.AddDuplicate(actions, descriptors[i], i);
            // A group of its own: a Ctrl-C is not meant for it. No signal is ignored as we ignore it.
            _ = Libc.SetFlags(attributes, Libc.POSIX_SPAWN_SETPGROUP | Libc.POSIX_SPAWN_SETSIGDEF | Libc.POSIX_SPAWN_SETSIGMASK);
            _ = Libc.FillSignals(signals);
            _ = Libc.SetDefaultSignals(attributes, signals);
            _ = Libc.EmptySignals(signals);
            _ = Libc.SetSignalMask(attributes, signals);
            var error = Libc.Spawn(&process, words[0], actions, attributes, arguments, environment);
            return error == 0 ? process : throw Failure(error);
        }
        finally
        {
            Free(arguments);
            Free(environment);
            _ = Libc.DestroyActions(actions);
            _ = Libc.DestroyAttributes(attributes);
        }
    }

    private List<string> Variables()
    {
        var own = _command.Environment.Select(static v => v[..v.IndexOf('=', StringComparison.Ordinal)]).ToHashSet(StringComparer.Ordinal);
        var all = _command.Environment.ToList();
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            if (!own.Contains((string)variable.Key))
                all.Add($"{variable.Key}={variable.Value}");
        }

        return all;
    }

    private static byte** Strings(IReadOnlyList<string> texts)
    {
        var strings = (byte**)NativeMemory.AllocZeroed((nuint)texts.Count + 1, (nuint)sizeof(byte*));
        for (var i = 0; i < texts.Count; i++)
        {
            var length = Encoding.UTF8.GetByteCount(texts[i]);
            strings[i] = (byte*)NativeMemory.AllocZeroed((nuint)length + 1);
            Encoding.UTF8.GetBytes(texts[i], new Span<byte>(strings[i], length));
        }

        return strings;
    }

    private static void Free(byte** strings)
    {
        for (var i = 0; strings is not null && strings[i] is not null; i++)
            NativeMemory.Free(strings[i]);
        NativeMemory.Free(strings);
    }

    private void MakePipe(out int reading, out int writing)
    {
        var ends = stackalloc int[2];
        if (Libc.Pipe(ends, Libc.O_CLOEXEC) != 0)
            throw Failure(Libc.Error);
        (reading, writing) = (ends[0], ends[1]);
    }

    private static void SetNonBlocking(int fd) => _ = Libc.Fcntl(fd, Libc.F_SETFL, Libc.Fcntl(fd, Libc.F_GETFL, 0) | Libc.O_NONBLOCK);

    private IOException Failure(int error) => new($"{_command.Name}: cannot be started: {Marshal.GetPInvokeErrorMessage(error)}", error);

    private void CloseAll()
    {
        foreach (var fd in (ReadOnlySpan<int>)[_in, _out, _error, _ended])
        {
            if (fd > 0)
                _ = Libc.Close(fd);
        }

        _in = _out = _error = -1;
    }
}
