using System.Runtime.InteropServices;
using Hikyaku.Transfer.Plugins;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// One process after the other that reads the same lines. What one had not read when it died is given to the next, from the beginning of the
/// line on in which it stopped. Its thread waits in system calls only, and is there as long as a process is.
/// </summary>
internal sealed class PipeTarget : IDisposable
{
    private const int ThreadStackBytes = 256 << 10;
    private static readonly TimeSpan PauseMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PauseMax = TimeSpan.FromSeconds(30);

    // How often we look whether it has read what it has: nobody tells.
    private static readonly TimeSpan LookMin = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LookMax = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan Forever = TimeSpan.FromHours(1);

    // One that has not read for so long is called unhealthy.
    private static readonly TimeSpan StallTime = TimeSpan.FromSeconds(10);

    // One that has lived for so long is not that which died at once.
    private static readonly TimeSpan ProofTime = TimeSpan.FromSeconds(1);

    private readonly PipeOutput _output;
    private readonly PipeOutputSettings _settings;
    private readonly string _file;
    private readonly bool _isPermanent;
    private readonly string _name;
    private readonly Action<string> _report;
    private readonly PluginBell _bell = new();
    private readonly Lock _lock = new();
    private readonly List<PipePart> _parts = [];
    private TaskCompletionSource _ended = new();
    private bool _hasThread;
    private bool _mustEnd;
    private volatile bool _isStopping;
    private long _stopBy = long.MaxValue;
    private int _unwritten; // index of the first part that is not all written to the process that runs
    private long _progress;
    private long _runningSince; // 0: no process runs
    private string _problem = "";
    private long _lines, _bytes, _repeats;

    public PipeTarget(PipeOutput output, PipeOutputSettings settings, string file, bool isPermanent, string name, Action<string> report)
    {
        _output = output;
        _settings = settings;
        _file = file;
        _isPermanent = isPermanent;
        _name = file.Length == 0 || !isPermanent ? $"{name}: {settings.Command.Name}{(file.Length == 0 ? "" : $" > {file}")}" : $"{name}: {settings.Command.Name}";
        _report = report;
        _ended.SetResult();
        if (isPermanent)
            Begin();
    }

    /// <summary>Its last process has ended, and nothing is left for another.</summary>
    public Task Ended
    {
        get
        {
            lock (_lock)
                return _ended.Task;
        }
    }

    /// <summary>Nothing is waiting to be read.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_lock)
                return _parts.Count == 0;
        }
    }

    /// <summary>Environment.TickCount64 of the last lines.</summary>
    public long LastUse { get; private set; }

    /// <summary>Chunks with lines for it, also those that only gather. The pump's own count.</summary>
    public int Users { get; set; }

    public void Give(PipePart part)
    {
        lock (_lock)
        {
            if (_parts.Count == 0)
                Volatile.Write(ref _progress, Environment.TickCount64);
            _parts.Add(part);
            LastUse = Environment.TickCount64;
            if (!_hasThread && !_isStopping)
                Begin();
        }

        _bell.Ring();
    }

    /// <summary>Ends its process once that has read all there is. The next lines start another.</summary>
    public void End()
    {
        lock (_lock)
            _mustEnd = true;
        _bell.Ring();
    }

    /// <summary>Ends it for good. What is not read by then is not done.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _isStopping = true;
            _stopBy = Environment.TickCount64 + (long)(_settings.Patience / 2).TotalMilliseconds;
        }

        _bell.Ring();
    }

    public void Call() => _bell.Ring();

    /// <summary>False while it has a process, or anything to do.</summary>
    public bool TryLeave()
    {
        lock (_lock)
        {
            if (_hasThread || _parts.Count > 0 || Users > 0)
                return false;
        }

        Dispose();
        return true;
    }

    public ReceiverStatus Status()
    {
        lock (_lock)
        {
            var now = Environment.TickCount64;
            var isStalled = _parts.Count > 0 && now - Volatile.Read(ref _progress) >= (long)StallTime.TotalMilliseconds;
            var isOver = _runningSince > 0 && now - _runningSince >= (long)ProofTime.TotalMilliseconds;
            var problem = _problem.Length > 0 && !isOver ? _problem : isStalled ? "does not read what it is given" : "";
            return new ReceiverStatus(_file.Length == 0 ? _settings.Command.Name : $"{_settings.Command.Name} > {_file}", problem.Length == 0, problem,
                _lines, _bytes, _parts.Count, _repeats);
        }
    }

    public void Dispose() => _bell.Dispose();

    // Under the lock.
    private void Begin()
    {
        _hasThread = true;
        _ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(Run, ThreadStackBytes) { IsBackground = true, Name = "pipe" }.Start();
    }

    private void Run()
    {
        var pause = TimeSpan.Zero;
        while (HasWork())
        {
            if (pause > TimeSpan.Zero && !_isStopping)
                WaitUntil(Environment.TickCount64 + (long)pause.TotalMilliseconds);
            while (!_isStopping && !_output.TryEnter(this))
                _bell.Wait(Forever);
            if (_isStopping)
                continue;
            var start = Environment.TickCount64;
            string? fault;
            try
            {
                fault = RunProcess();
            }
            catch (IOException e)
            {
                fault = e.Message;
            }
            finally
            {
                _output.Exit(this);
            }

            if (fault is null || Environment.TickCount64 - start > PauseMax.TotalMilliseconds)
                pause = TimeSpan.Zero;
            if (fault is not null)
                pause = pause == TimeSpan.Zero ? PauseMin : pause * 2 < PauseMax ? pause * 2 : PauseMax;
            Blame(fault, pause);
        }
    }

    private bool HasWork()
    {
        lock (_lock)
        {
            if (!_isStopping && (_parts.Count > 0 || (_isPermanent && !_mustEnd)))
                return true;
            _mustEnd = false;
            _hasThread = false;
            _ended.SetResult();
            return false;
        }
    }

    private void WaitUntil(long time)
    {
        while (!_isStopping && Environment.TickCount64 is var now && now < time)
            _bell.Wait(TimeSpan.FromMilliseconds(time - now));
    }

    private void Blame(string? fault, TimeSpan pause)
    {
        lock (_lock)
        {
            _problem = fault ?? "";
            if (fault is null || _isStopping)
                return;
        }

        _report($"{_name}: {fault}; starting it again in {pause.TotalSeconds:0.#} s");
    }

    // Null: it ended because it was to.
    private string? RunProcess()
    {
        var output = _file.Length == 0 ? -1 : OpenOutput();
        PluginProcess process;
        try
        {
            process = new PluginProcess(_settings.Command, output, readsOutput: false, _bell, _name, _report);
        }
        finally
        {
            if (output >= 0)
                _ = Libc.Close(output);
        }

        using (process)
        {
            SetRunning(true);
            try
            {
                return Serve(process);
            }
            finally
            {
                SetRunning(false);
            }
        }
    }

    private void SetRunning(bool runs)
    {
        lock (_lock)
            _runningSince = runs ? Environment.TickCount64 : 0;
    }

    private string? Serve(PluginProcess process)
    {
        long given = 0, taken = 0;
        var look = LookMin;
        var isWhole = true; // it reads
        lock (_lock)
            _unwritten = 0;
        while (true)
        {
            if (isWhole && !process.IsClosed)
                isWhole = Feed(process, ref given);
            var nowTaken = given - process.Unread;
            if (nowTaken > taken)
            {
                (taken, look) = (nowTaken, LookMin);
                Volatile.Write(ref _progress, Environment.TickCount64);
            }

            Settle(taken);
            if (!process.IsClosed && (!isWhole || MustClose(given == taken)))
                process.CloseIn(_settings.Patience);
            var toWrite = isWhole && HasUnwritten();
            var wait = process.IsClosed ? LookMax : given > taken ? look : _isStopping ? LookMax : Forever;
            if (process.Wait(toWrite, wait))
                break;
            look = look * 2 < LookMax ? look * 2 : LookMax;
        }

        var wasAsked = process.IsClosed && isWhole;
        Settle(given - process.Unread);
        var unread = TakeBack(given - process.Unread);
        var end = process.Reap();
        if (wasAsked && unread == 0)
            return end is null ? null : Told($"{_name}: {end} at its end");
        return (end ?? (isWhole ? "ended by itself, with status 0" : "closed its standard input")) + (unread > 0 ? $"; {unread} bytes that it had not read go to the next one" : "");
    }

    // How it leaves is worth a word, but nothing is to be started again because of it.
    private string? Told(string message)
    {
        _report(message);
        return null;
    }

    // False: it does not read any more.
    private bool Feed(PluginProcess process, ref long given)
    {
        while (true)
        {
            PipePart part;
            lock (_lock)
            {
                if (_unwritten == _parts.Count)
                    return true;
                part = _parts[_unwritten];
                // At the end of all what was begun is finished, and no more.
                if (_isStopping && part.Written == 0)
                    return true;
                if (part.Written == 0)
                    (part.Written, part.Start) = (part.Unread, given - part.Unread);
            }

            var written = part.Written == part.Bytes.Length ? 0 : process.Write(part.Bytes.Written[part.Written..]);
            if (written < 0)
                return false;
            given += written;
            part.Written += written;
            if (part.Written < part.Bytes.Length)
                return true;
            lock (_lock)
                _unwritten++;
        }
    }

    private bool HasUnwritten()
    {
        lock (_lock)
            return _unwritten < _parts.Count && (!_isStopping || _parts[_unwritten].Written > 0);
    }

    private bool MustClose(bool hasReadAll)
    {
        lock (_lock)
        {
            if (_isStopping)
                return (hasReadAll && (_unwritten == _parts.Count || _parts[_unwritten].Written == 0)) || Environment.TickCount64 >= _stopBy;
            if (!_mustEnd || !hasReadAll || _parts.Count > 0)
                return false;
            _mustEnd = false;
            return true;
        }
    }

    // What it has read is done.
    private void Settle(long taken)
    {
        var any = false;
        while (true)
        {
            PipePart part;
            lock (_lock)
            {
                if (_unwritten == 0 || _parts[0] is var first && first.Start + first.Bytes.Length > taken)
                    break;
                part = first;
                _parts.RemoveAt(0);
                _unwritten--;
                _lines += part.Lines;
                _bytes += part.Bytes.Length;
            }

            any = true;
            part.Finish();
        }

        if (any && IsIdle)
            _output.CallWaiting();
    }

    // What it has not read is given again, from the beginning of a line. Returns how much that is.
    private long TakeBack(long taken)
    {
        lock (_lock)
        {
            var unread = 0L;
            foreach (var part in _parts)
            {
                if (part.Written == 0)
                    break;
                if (part.Written > part.Unread)
                    _repeats++;
                var read = (int)Math.Clamp(taken - part.Start, part.Unread, part.Bytes.Length);
                unread += part.Written - read;
                part.Unread = Frame.StartOf(part.Bytes.Written, read, _settings.Framing);
                part.Written = 0;
            }

            _unwritten = 0;
            return unread;
        }
    }

    private int OpenOutput()
    {
        if (Path.GetDirectoryName(_file) is { Length: > 0 } directory)
            Hikyaku.Log.Disk.OfThisMachine.MakeDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute);
        var fd = Libc.Open(_file, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND | Libc.O_CLOEXEC, 0x1A0 /* 0640 */);
        return fd >= 0 ? fd : throw new IOException($"{_file}: cannot be opened: {Marshal.GetPInvokeErrorMessage(Libc.Error)}", Libc.Error);
    }
}
