using System.Collections.Concurrent;
using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>
/// Puts what is written into the files underneath: a reader of the mount's own log with a position of its own. Work that must see
/// everything kept so far, or that may wait for the disk, runs on its thread, so that the thread that answers writes never waits.
/// </summary>
internal sealed unsafe class Keeper : IDisposable
{
    private const int GathersMax = 16;
    private const int GatherBytes = 64 * 1024;
    private const int PublishBytes = 8 << 20;
    private const long AtEnd = -1;

    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RestWhenFull = TimeSpan.FromSeconds(1);

    private readonly ILogStorage _storage;
    private readonly MountState _state;
    private readonly MountCounters _counters;
    private readonly Action<string> _report;
    private readonly ConcurrentDictionary<ulong, OpenHandle> _handles = [];
    private readonly Dictionary<uint, Gather> _gathers = [];
    private readonly Stack<byte[]> _buffers = [];
    private readonly List<OpenHandle> _closing = [];
    private readonly Queue<(ulong Upto, Action<int> Work)> _queue = [];
    private readonly object _gate = new();
    private readonly bool _keeps;
    private readonly Account? _account;
    private int _mixedCount;
    private LogReader? _reader;
    private Thread? _thread;
    private ulong _appended;
    private long _missed;
    private ulong _fullAt;
    private bool _stopping;
    private bool _isFailing;
    private volatile bool _asleep;
    private volatile int _full;

    /// <param name="storage">The mount's log.</param>
    /// <param name="state">Where the position lies.</param>
    /// <param name="keep">None: the log is not read, and only the work that is posted is done.</param>
    /// <param name="counters">Where the position is shown.</param>
    /// <param name="report">For sentences to people.</param>
    /// <param name="account">Where pieces behind bytes of others are noted; null = nobody asks.</param>
    public Keeper(ILogStorage storage, MountState state, Keep keep, MountCounters counters, Action<string> report, Account? account = null)
    {
        _account = account;
        (_storage, _state, _counters, _report) = (storage, state, counters, report);
        _keeps = keep == Keep.All;
        counters.Kept = Kept;
    }

    /// <summary>The first sequence whose content is not known to be underneath.</summary>
    public ulong Kept => Volatile.Read(ref _state.Header->Kept);

    /// <summary>ENOSPC or EDQUOT while there is no room underneath, else 0.</summary>
    public int Full => _full;

    /// <summary>Set by the thread that appends, after each Write or Close record.</summary>
    public ulong Appended
    {
        get => Volatile.Read(ref _appended);
        set => Volatile.Write(ref _appended, value);
    }

    public bool IsAsleep => _asleep;

    /// <summary>From now on records of this handle are written through its descriptor, until its Close record.</summary>
    public void Add(OpenHandle handle) => _handles[handle.Number] = handle;

    /// <summary>Nothing of this handle is in the log.</summary>
    public void Remove(OpenHandle handle) => _handles.TryRemove(handle.Number, out _);

    public void Start()
    {
        _thread = new Thread(Run) { Name = "keeper", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Runs the work once everything up to this sequence is underneath; it is given 0, or why that could not be done.</summary>
    public void Post(ulong upto, Action<int> work)
    {
        lock (_gate)
        {
            _queue.Enqueue((upto, work));
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Waits until everything up to this sequence is underneath, or cannot be for now. On the appending thread.</summary>
    public void Await(ulong upto)
    {
        if (!_keeps || _thread is null || Kept > upto)
            return;
        using var done = new ManualResetEventSlim();
        Post(upto, _ => done.Set());
        done.Wait();
    }

    /// <summary>Something new is in the log. Only needed when <see cref="IsAsleep"/> is seen after a full fence.</summary>
    public void Wake()
    {
        lock (_gate)
            Monitor.Pulse(_gate);
    }

    /// <summary>Puts everything up to this sequence underneath. On the keeper's thread, or before it is started.</summary>
    /// <returns>0 or a positive error number.</returns>
    public int Drain(ulong upto)
    {
        if (!_keeps || Kept > upto)
            return 0;
        try
        {
            _reader ??= new LogReader(_storage, Kept) { Report = _report };
            var unpublished = 0L;
            int error;
            while (_reader.Position <= upto && _reader.TryRead(out var record))
            {
                unpublished += record.Body.Length;
                error = Take(record);
                if (error == 0 && unpublished >= PublishBytes)
                    (error, unpublished) = (Publish(), 0);
                if (error != 0)
                    return BackOff(error);
            }
            error = Publish();
            return error == 0 ? 0 : BackOff(error);
        }
        catch (LogException e)
        {
            if (!_isFailing)
                _report($"content cannot be kept for now: {e.Message}");
            _isFailing = true;
            return BackOff(Errno.EIO);
        }
    }

    /// <summary>Writes over what stands in the file, without a record. On the keeper's thread.</summary>
    /// <returns>0 or a positive error number.</returns>
    public int Overwrite(OpenHandle handle, ReadOnlySpan<byte> data, long offset)
    {
        var account = handle.Account;
        if (account is not null)
        {
            if (account->IsMixed != 0)
                data = data[..(int)Math.Clamp(account->Length - offset, 0, data.Length)];
            Account.NoteOverwritten(account, offset + data.Length);
        }
        while (data.Length > 0)
        {
            var error = TryWrite(handle, data, offset, out var written, out _);
            if (written == 0)
                return error == 0 ? Errno.EIO : error;
            data = data[written..];
            offset += written;
        }
        return 0;
    }

    /// <summary>Finishes the work posted so far, puts everything underneath and ends the thread.</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.Pulse(_gate);
        }
        _thread?.Join();
    }

    /// <summary>After <see cref="Stop"/>, when nobody uses the handles any more: closes their descriptors.</summary>
    public void Dispose()
    {
        _reader?.Dispose();
        foreach (var handle in _handles.Values)
            Close(handle);
    }

    private void Run()
    {
        while (true)
        {
            (ulong Upto, Action<int> Work) next = default;
            bool stopping;
            lock (_gate)
            {
                if (!_queue.TryDequeue(out next) && !_stopping)
                {
                    Sleep();
                    _queue.TryDequeue(out next);
                }
                stopping = _stopping && next.Work is null;
            }
            var error = Drain(next.Work is null ? Appended : next.Upto);
            next.Work?.Invoke(error);
            if (stopping)
                return;
        }
    }

    // Under the gate. Rests while there is something to gather; sleeps until woken when there is nothing.
    private void Sleep()
    {
        if (!_keeps)
        {
            Monitor.Wait(_gate);
            return;
        }
        if (Kept <= Appended)
        {
            Monitor.Wait(_gate, _full == 0 ? Rest : RestWhenFull);
            return;
        }
        _asleep = true;
        Interlocked.MemoryBarrier();
        if (Kept > Appended)
            Monitor.Wait(_gate);
        _asleep = false;
        // What woke us is the first of many: let them gather.
        if (_queue.Count == 0 && !_stopping)
            Monitor.Wait(_gate, Rest);
    }

    private int Take(in LogRecord record)
    {
        if (record.Kind == RecordKind.Close && CloseRecord.TryParse(record.Body, out var close))
        {
            if (_handles.TryGetValue(close.Handle, out var closed))
                _closing.Add(closed);
            return 0;
        }
        if (record.Kind != RecordKind.Write || !WriteRecord.TryParse(record.Body, out var write))
            return 0;
        if (!_handles.TryGetValue(write.Handle, out var handle) || handle.Descriptor < 0)
        {
            _counters.UnkeptCount++;
            return 0;
        }
        if (record.Sequence <= handle.Node->Emptied)
            return 0;
        var account = handle.Account;
        // Behind bytes of others it cannot be put again at the same place.
        if (account is not null && account->IsMixed != 0 && record.Sequence <= account->Sequence)
            return 0;
        if (!_gathers.TryGetValue(handle.NodeIndex, out var gather))
        {
            if (_gathers.Count == GathersMax && Flush() is var error and not 0)
                return error;
            gather = new Gather { Buffer = _buffers.TryPop(out var buffer) ? buffer : new byte[GatherBytes] };
            _gathers.Add(handle.NodeIndex, gather);
        }
        if (gather.Length > 0 && ((ulong)gather.Offset + (ulong)gather.Length != write.Offset || write.Data.Length > GatherBytes - gather.Length)
            && Flush(gather) is var failed and not 0)
            return failed;
        (gather.Handle, gather.Sequence) = (handle, record.Sequence);
        gather.Modified = write.Time;
        if (gather.Length == 0)
            gather.Offset = (long)write.Offset;
        if (write.Data.Length > GatherBytes)
            return Put(handle, write.Data, (long)write.Offset, record.Sequence);
        write.Data.CopyTo(gather.Buffer.AsSpan(gather.Length));
        gather.Length += write.Data.Length;
        return 0;
    }

    private int Flush()
    {
        var times = stackalloc Libc.TimeSpec[2];
        foreach (var gather in _gathers.Values)
        {
            if (Flush(gather) is var error and not 0)
                return error;
            // The time of the write, not of our being late.
            times[0].Nanoseconds = Libc.UTIME_OMIT;
            times[1].Seconds = gather.Modified / 1_000_000_000;
            times[1].Nanoseconds = gather.Modified % 1_000_000_000;
            _ = Libc.FUTimens(gather.Handle!.Descriptor, times);
            if (Underneath.Stat(gather.Handle.Descriptor, out var file) == 0)
                gather.Handle.Node->Touched = file.Change.UnixNanoseconds;
            _buffers.Push(gather.Buffer);
        }
        _gathers.Clear();
        return 0;
    }

    private int Flush(Gather gather)
    {
        if (gather.Length == 0)
            return 0;
        var error = Put(gather.Handle!, gather.Buffer.AsSpan(0, gather.Length), gather.Offset, gather.Sequence);
        gather.Length = 0;
        return error;
    }

    // Keeps account of how long the file is by our doing, so that the next mount can tell what others have added.
    private int Put(OpenHandle handle, ReadOnlySpan<byte> data, long offset, ulong sequence)
    {
        var account = handle.Account;
        if (account is null)
            return Put(handle, data, offset);
        var size = Libc.LSeek(handle.Descriptor, 0, Libc.SEEK_END);
        if (size < account->Length)
        {
            // Others have cut it, unless somebody died while it did that for us: whatever stands there is theirs.
            if (size == account->Next)
                Account.Settle(account, size, -1);
            else
                _account!.Mix(account, 0);
        }
        else if (account->IsMixed == 0 && offset + data.Length > account->Length && size > account->Length)
        {
            // Somebody died while it did just this: what stands there is ours as far as it is the same.
            if (account->Next > account->Length)
                (account->MarkBytes, account->Length) = (0, Same(handle.Descriptor, data, offset, Math.Max(offset, account->Length), Math.Min(size, account->Next)));
            if (size > account->Length)
                _account!.Mix(account, account->Length);
        }
        var within = (int)Math.Clamp(account->Length - offset, 0, data.Length);
        if (within > 0 && Put(handle, data[..within], offset) is var error and not 0)
            return error;
        if (within > 0)
            Account.NoteOverwritten(account, offset + within);
        data = data[within..];
        if (data.Length == 0)
            return 0;
        if (account->IsMixed != 0 || offset + within == account->Length)
            return PutAtEnd(handle, data, sequence);
        // A hole comes first, and that cannot be appended.
        var end = offset + within + data.Length;
        Volatile.Write(ref account->Next, end);
        error = Put(handle, data, offset + within);
        if (error == 0 && Libc.LSeek(handle.Descriptor, 0, Libc.SEEK_END) >= end)
            Account.Extend(account, end, data);
        Volatile.Write(ref account->Next, AccountEntry.None);
        return error;
    }

    // Behind whatever is there: others may append to the file in this very moment, and nothing of theirs is overwritten.
    private int PutAtEnd(OpenHandle handle, ReadOnlySpan<byte> data, ulong sequence)
    {
        var account = handle.Account;
        while (data.Length > 0)
        {
            if (account->IsMixed == 0)
                Volatile.Write(ref account->Next, account->Length + data.Length);
            var error = TryWrite(handle, data, AtEnd, out var written, out var to);
            if (written == 0)
            {
                Volatile.Write(ref account->Next, AccountEntry.None);
                return error;
            }
            if (account->IsMixed == 0 && to - written == account->Length)
            {
                Account.Extend(account, to, data[..written]);
            }
            else
            {
                if (account->IsMixed == 0)
                    _account!.Mix(account, Math.Min(account->Length, to - written));
                if (_mixedCount++ == 0)
                    _report($"{System.Text.Encoding.UTF8.GetString(handle.Source.Path)} was written to past the mount before all that was accepted stood in it; the rest of that is put behind (as in other such files)");
                _account!.AddPiece(account, to - written, to, written == data.Length ? sequence : account->Sequence);
            }
            data = data[written..];
        }
        return 0;
    }

    // Up to where the file holds these bytes.
    private static long Same(int descriptor, ReadOnlySpan<byte> data, long offset, long from, long to)
    {
        const int length = 4096;
        var there = stackalloc byte[length];
        // Whoever opened it may have done so only for writing.
        var path = stackalloc byte[Underneath.PathOfDescriptorMax];
        descriptor = Libc.OpenBytes(Underneath.PathOfDescriptor(descriptor, path), Libc.O_CLOEXEC, 0);
        while (from < Math.Min(to, offset + data.Length))
        {
            var expected = data[(int)(from - offset)..];
            expected = expected[..(int)Math.Min(Math.Min(length, expected.Length), to - from)];
            var read = (int)Libc.PRead(descriptor, there, (nuint)expected.Length, from);
            var same = expected.CommonPrefixLength(new ReadOnlySpan<byte>(there, Math.Max(read, 0)));
            from += same;
            if (same < expected.Length)
                break;
        }
        _ = Libc.Close(descriptor);
        return from;
    }

    private int Put(OpenHandle handle, ReadOnlySpan<byte> data, long offset)
    {
        while (data.Length > 0)
        {
            var error = TryWrite(handle, data, offset, out var written, out _);
            if (written == 0)
                return error;
            data = data[written..];
            offset += written;
        }
        return 0;
    }

    // Nothing written: the error says why it must be tried again; with none it is not to be kept, or cannot be.
    private int TryWrite(OpenHandle handle, ReadOnlySpan<byte> data, long offset, out int written, out long end)
    {
        (written, end) = (0, 0);
        var appends = offset == AtEnd;
        if (handle.Appends != appends && Libc.Fcntl(handle.Descriptor, Libc.F_SETFL, appends ? Libc.O_APPEND : 0) != 0)
            return Unkept(handle, Libc.Error);
        handle.Appends = appends;
        while (true)
        {
            nint count;
            fixed (byte* start = data)
            {
                if (appends)
                {
                    // The other thread seeks too.
                    lock (handle)
                    {
                        count = Libc.Write(handle.Descriptor, start, (nuint)data.Length);
                        if (count > 0)
                            end = Libc.LSeek(handle.Descriptor, 0, Libc.SEEK_CUR);
                    }
                }
                else
                {
                    count = Libc.PWrite(handle.Descriptor, start, (nuint)data.Length, offset);
                    end = offset + count;
                }
            }
            if (count > 0)
            {
                written = (int)count;
                return 0;
            }
            var error = count == 0 ? Errno.EIO : Libc.Error;
            if (error == Errno.EINTR)
                continue;
            if (error is not (Errno.ENOSPC or Errno.EDQUOT))
                return Unkept(handle, error);
            var isRoom = EmptyRemoved();
            if (IsRemoved(handle))
                return 0;
            if (!isRoom)
                return error;
        }
    }

    // Nothing that waiting could mend: the lines are in the log, only reading them back is lost.
    private int Unkept(OpenHandle handle, int error)
    {
        if (_counters.UnkeptCount++ == 0)
            _report($"{System.Text.Encoding.UTF8.GetString(handle.Source.Path)} cannot be kept: {Errno.Text(error)}; its lines are in the log all the same");
        return 0;
    }

    // A file that is removed keeps its room as long as we have it open, and all of it may be what the disk lacks.
    private bool EmptyRemoved()
    {
        var isAnyEmptied = false;
        foreach (var handle in _handles.Values)
        {
            if (IsRemoved(handle) && Underneath.Stat(handle.Descriptor, out var file) == 0 && file.Blocks > 0)
            {
                isAnyEmptied |= Libc.FTruncate(handle.Descriptor, 0) == 0;
                if (handle.Account is not null)
                    Account.Settle(handle.Account, 0, -1);
            }
        }
        return isAnyEmptied;
    }

    // A file that a program still has open has a hidden name.
    private static bool IsRemoved(OpenHandle handle) =>
        handle.Descriptor >= 0 && handle.State->Use != HandleUse.Open && Underneath.Stat(handle.Descriptor, out var file) == 0 && file.Links == 0;

    private int Publish()
    {
        if (Flush() is var error and not 0)
            return error;
        foreach (var handle in _closing)
        {
            if (_handles.TryRemove(handle.Number, out _))
                Close(handle);
        }
        _closing.Clear();
        _isFailing = false;
        Volatile.Write(ref _state.Header->Kept, _reader!.Position);
        _counters.Kept = _reader.Position;
        if (_reader.Missed != _missed)
        {
            _report($"{_reader.Missed - _missed} records were gone from the log before their content was kept");
            _missed = _reader.Missed;
        }
        if (_full != 0 && _reader.Position >= _fullAt)
        {
            _full = 0;
            _report("there is room underneath again; writes are accepted");
        }
        return 0;
    }

    // Begins again at the position kept: writing the same bytes to the same place once more does no harm.
    private int BackOff(int error)
    {
        foreach (var gather in _gathers.Values)
            _buffers.Push(gather.Buffer);
        _gathers.Clear();
        _closing.Clear();
        // Only when what did not fit has found room is there any.
        _fullAt = _reader?.Position ?? 0;
        _reader?.Dispose();
        _reader = null;
        if (error is Errno.ENOSPC or Errno.EDQUOT && _full == 0)
        {
            _full = error;
            _report($"no room underneath to keep what was written ({Errno.Text(error)}); nothing accepted is lost, further writes get this error until there is room");
        }
        return error;
    }

    private static void Close(OpenHandle handle)
    {
        if (handle.Descriptor >= 0)
            _ = Libc.Close(handle.Descriptor);
        handle.Descriptor = -1;
    }

    /// <summary>Bytes that lie one behind the other in one file.</summary>
    private sealed class Gather
    {
        public required byte[] Buffer { get; init; }

        public OpenHandle? Handle { get; set; }

        public long Offset { get; set; }

        public int Length { get; set; }

        public ulong Sequence { get; set; }

        public long Modified { get; set; }
    }
}
