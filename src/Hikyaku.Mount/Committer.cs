using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>
/// Commits the log to the disk, for fsync(2), at intervals, or before each answer; and does once a second what the log needs done.
/// Many writes that wait share one commit.
/// </summary>
internal sealed unsafe class Committer
{
    // More writes than the kernel ever has waiting at once would make the appending thread wait here.
    private const int WaitingMax = 4096;

    private static readonly long TickMs = 1000;

    private readonly FuseDevice _device;
    private readonly LogWriter _log;
    private readonly MountState _state;
    private readonly Action _tick;
    private readonly Action<string> _report;
    private readonly int _intervalMs;
    private readonly (ulong RawUnique, uint Size, ulong Sequence)[] _waiting = new (ulong, uint, ulong)[WaitingMax];
    private readonly Queue<Action<int>> _queue = [];
    private readonly object _gate = new();
    private readonly Thread _thread;
    private long _waitingFrom;
    private long _waitingTo;
    private bool _stopping;
    private bool _failed;
    private volatile bool _asleep;

    /// <param name="device">Where answers go.</param>
    /// <param name="log">What is committed.</param>
    /// <param name="state">Where it is noted what has been answered.</param>
    /// <param name="interval">How often to commit unasked; zero = never.</param>
    /// <param name="tick">Called about once a second.</param>
    /// <param name="report">For sentences to people.</param>
    public Committer(FuseDevice device, LogWriter log, MountState state, TimeSpan interval, Action tick, Action<string> report)
    {
        (_device, _log, _state, _tick, _report) = (device, log, state, tick, report);
        _intervalMs = (int)Math.Clamp(interval.TotalMilliseconds, interval > TimeSpan.Zero ? 1 : 0, TickMs);
        _thread = new Thread(Run) { Name = "committer", IsBackground = true };
    }

    /// <summary>True when an append must call <see cref="Wake"/>, seen after a full fence.</summary>
    public bool IsAsleep => _asleep;

    /// <summary>Whether any write waits for its answer.</summary>
    public bool HasWaiting => Volatile.Read(ref _waitingFrom) != Volatile.Read(ref _waitingTo);

    public void Start() => _thread.Start();

    public void Wake()
    {
        lock (_gate)
            Monitor.PulseAll(_gate);
    }

    /// <summary>Answers this write after the next commit. One thread only; allocates nothing.</summary>
    /// <param name="rawUnique">The request.</param>
    /// <param name="size">What is answered.</param>
    /// <param name="sequence">Up to here every write has been answered once this one has; 0 = not known.</param>
    public void Defer(ulong rawUnique, uint size, ulong sequence)
    {
        lock (_gate)
        {
            while (_waitingTo - _waitingFrom == WaitingMax)
                Monitor.Wait(_gate);
            _waiting[_waitingTo % WaitingMax] = (rawUnique, size, sequence);
            Volatile.Write(ref _waitingTo, _waitingTo + 1);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Runs the work after everything appended before is on the disk; it is given 0, or a positive error number.</summary>
    public void Post(Action<int> work)
    {
        lock (_gate)
        {
            _queue.Enqueue(work);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Answers what waits and ends the thread.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
        }
        _thread.Join();
    }

    private void Run()
    {
        var nextTick = Environment.TickCount64 + TickMs;
        while (true)
        {
            long upto;
            Action<int>[] work;
            bool stopping;
            lock (_gate)
            {
                if (_queue.Count == 0 && !HasWaiting && !_stopping)
                    Rest(nextTick - Environment.TickCount64);
                upto = _waitingTo;
                work = [.. _queue];
                _queue.Clear();
                stopping = _stopping;
            }
            var isDue = _intervalMs > 0 && _log.CommittedSequence < _log.NextSequence;
            if (work.Length > 0 || _waitingFrom != upto || isDue || stopping)
                Commit(upto, work);
            if (Environment.TickCount64 >= nextTick)
            {
                Tick();
                nextTick = Environment.TickCount64 + TickMs;
            }
            if (stopping && !HasWaiting)
                return;
        }
    }

    // Under the gate.
    private void Rest(long untilTick)
    {
        var wait = (int)Math.Max(untilTick, 0);
        if (_intervalMs == 0)
        {
            Monitor.Wait(_gate, wait);
            return;
        }
        if (_log.CommittedSequence >= _log.NextSequence)
        {
            _asleep = true;
            Interlocked.MemoryBarrier();
            if (_log.CommittedSequence >= _log.NextSequence)
                Monitor.Wait(_gate, wait);
            _asleep = false;
        }
        if (_queue.Count == 0 && !HasWaiting && !_stopping)
            Monitor.Wait(_gate, _intervalMs);
    }

    private void Commit(long upto, Action<int>[] work)
    {
        var error = 0;
        try
        {
            _log.Commit();
        }
        catch (LogException e)
        {
            error = Errno.EIO;
            if (!_failed)
                _report($"the log cannot be committed: {e.Message}");
            _failed = true;
        }
        while (_waitingFrom < upto)
        {
            var (rawUnique, size, sequence) = _waiting[_waitingFrom % WaitingMax];
            if (error != 0)
            {
                _device.ReplyError(rawUnique, error);
            }
            else
            {
                var written = new WriteOut { Size = size };
                _device.Reply(rawUnique, new ReadOnlySpan<byte>(&written, sizeof(WriteOut)));
            }
            if (sequence != 0)
                Volatile.Write(ref _state.Header->Answered, sequence);
            lock (_gate)
            {
                Volatile.Write(ref _waitingFrom, _waitingFrom + 1);
                Monitor.PulseAll(_gate);
            }
        }
        foreach (var action in work)
            action(error);
    }

    private void Tick()
    {
        try
        {
            _log.Prepare();
            _log.Retire();
            _tick();
        }
        catch (LogException e)
        {
            _report(e.Message);
        }
    }
}
