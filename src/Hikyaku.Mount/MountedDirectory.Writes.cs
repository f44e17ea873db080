using System.Runtime.CompilerServices;
using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>This part: a write becomes a record.</summary>
internal sealed unsafe partial class MountedDirectory
{
    private readonly Dictionary<string, Source> _sources = new(StringComparer.Ordinal);
    private readonly Dictionary<ulong, SourceCounters> _countersById = [];

    // Sources that get no more records, and the last one they can have.
    private readonly Queue<(ulong Id, ulong Last)> _forgotten = [];
    private readonly HashSet<ulong> _unanswered = [];
    private readonly BlockedWrites _blocked = new();
    private readonly Queue<OpenHandle> _released = [];

    // How far ahead of a write is asked for room, so that the next ones need not ask.
    private const ulong ReachStep = 1 << 30;

    // The last sequence appended, and whose record is being appended just now.
    private ulong _appended;
    private Source? _appending;

    public override int Write(in FuseRequest request, in WriteIn args, ReadOnlySpan<byte> data, FuseReply reply)
    {
        var handle = _handles.Find(args.Handle);
        if (handle is null)
            return -Errno.EBADF;
        // The kernel writes these itself.
        if (handle.State->Backing != 0)
            return -Errno.EIO;
        if (!request.Resent)
            NoteAnswered();
        if ((args.WriteFlags & WriteFlags.Cache) != WriteFlags.None)
            return WritePages(request.RawUnique, args, data, handle);
        var mustCommit = _isStrict || (args.Flags & Libc.O_DSYNC) != 0;
        if (request.Resent && _unanswered.Remove(request.Unique))
        {
            _counters.RecognisedCount++;
            return mustCommit ? AnswerCommitted(request.RawUnique, args.Size) : reply.Written(args.Size);
        }
        if ((args.WriteFlags & WriteFlags.KillSuidGid) != WriteFlags.None && (handle.Node->Mode & 0xc00) != 0 && handle.Descriptor >= 0)
            DropPrivileges(handle.Descriptor, handle.Node);
        if (_blocked.Count != 0)
            return Block(request, args, handle, data);
        var error = Append(handle, request.Unique, request.Uid, request.Pid, args.Offset, args.Flags, data);
        if (error == Errno.ENOSPC && _blocks && _keeper.Full == 0)
            return Block(request, args, handle, data);
        if (error != 0)
            return Refuse(handle, error);
        return mustCommit ? AnswerCommitted(request.RawUnique, args.Size) : reply.Written(args.Size);
    }

    /// <summary>Whether writes wait for room in the log; then <see cref="RetryBlocked"/> must be called now and then.</summary>
    public bool HasBlocked => _blocked.Count != 0;

    /// <summary>Appends and answers what waits, as far as there is room.</summary>
    public void RetryBlocked()
    {
        while (_blocked.Count != 0)
        {
            var write = _blocked.First;
            var error = Append(write.Handle, write.RawUnique & ~FuseRequest.ResentBit, write.Uid, write.Thread, write.Offset, write.Flags, write.Data);
            if (error == Errno.ENOSPC && _keeper.Full == 0)
                return;
            _blocked.RemoveFirst();
            CountBlocked();
            if (error != 0)
                _device.ReplyError(write.RawUnique, -Refuse(write.Handle, error));
            else if (_isStrict || (write.Flags & Libc.O_DSYNC) != 0)
                AnswerCommitted(write.RawUnique, (uint)write.Data.Length);
            else
                AnswerNow(write.RawUnique, (uint)write.Data.Length);
        }
    }

    /// <summary>Takes over what an earlier process of this mount left open, and finds out which of its writes may be sent again.</summary>
    /// <param name="storage">The mount's log.</param>
    public void Restore(ILogStorage storage)
    {
        var handles = _handles.Restore((path, id) => SourceOf(path, id));
        ClaimBackings(handles);
        var open = handles.ToDictionary(static handle => handle.Number);
        using var reader = new LogReader(storage, Math.Min(_keeps ? _keeper.Kept : ulong.MaxValue, _state.Header->Answered + 1));
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Close && CloseRecord.TryParse(record.Body, out var close))
            {
                NoteClosed(close.Handle);
                if (!open.TryGetValue(close.Handle, out var closed) || closed.State->Use is not (HandleUse.Open or HandleUse.Released))
                    continue;
                _handles.Leave(closed);
                _handles.Close(closed, record.Sequence);
            }
            else if (record.Kind == RecordKind.Extent && record.Sequence > _state.Header->Answered && ExtentRecord.TryParse(record.Body, out var extent))
            {
                NoteExtent(extent, record.Sequence);
            }
            else if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
            {
                if (record.Sequence > _state.Header->Answered)
                    _unanswered.Add(write.Request);
                // The kill may have come between the record and its traces in the node.
                if (record.Sequence > _state.Header->Answered && open.TryGetValue(write.Handle, out var written) && record.Sequence > written.Node->LastSequence)
                    NoteWritten(written.Node, (long)write.Offset + write.Data.Length, write.Time, record.Sequence);
            }
        }
        _handles.FreeClosed(FreeBelow);
        SettleBackings(handles, goesOn: true);
        OpenUnderneath(handles);
        TakeReleased(handles);
        _keeper.Appended = _appended;
    }

    /// <summary>Takes over what earlier mounts left: bytes in files that are not delivered yet.</summary>
    /// <param name="storage">The mount's log.</param>
    public void Begin(ILogStorage storage)
    {
        if (ClaimBackings([]))
            NoteExtents(storage);
        SettleBackings([], goesOn: false);
    }

    /// <summary>Brings a mount to its end that ended unasked: puts its content underneath and states that all its files are closed.</summary>
    /// <param name="storage">The mount's log.</param>
    /// <param name="report">For sentences to people.</param>
    public void Finish(ILogStorage storage, Action<string> report)
    {
        var handles = _handles.Restore((path, id) => new Source(path, _counters.Of(path)) { Id = id });
        _handles.FreeClosed(FreeBelow);
        ClaimBackings([]);
        if (!_backings.IsEmpty)
            NoteExtents(storage);
        // Before files are opened for writing by us.
        SettleBackings([], goesOn: false);
        OpenUnderneath(handles);
        TakeReleased(handles);
        if (_keeper.Drain(_appended) is var error and not 0)
            report($"what was written last before the mount ended cannot be read back ({Errno.Text(error)}); its lines are in the log");
        CloseAll(isAborted: false, report);
    }

    private void NoteExtents(ILogStorage storage)
    {
        using var reader = new LogReader(storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                NoteExtent(extent, record.Sequence);
            else if (record.Kind == RecordKind.Close && CloseRecord.TryParse(record.Body, out var close))
                NoteClosed(close.Handle);
        }
    }

    /// <summary>States that all files are closed: the mount is at its end.</summary>
    /// <param name="isAborted">The kernel did not wait for programs to close their files.</param>
    /// <param name="report">For sentences to people.</param>
    public void CloseAll(bool isAborted, Action<string> report)
    {
        EndScan();
        foreach (var handle in _handles.Open())
        {
            _handles.Leave(handle);
            if (!handle.Wrote)
                continue;
            handle.State->Use = HandleUse.Released;
            _released.Enqueue(handle);
        }
        AppendCloses();
        if (_released.Count > 0)
            report($"the log has no room to state that {_released.Count} files were closed");
        EndSessions(isAborted, report);
        RemoveLeftovers();
    }

    private int OpenReadOnly(uint slot, int mode)
    {
        const uint readAndWrite = 0x180;

        var path = _underneath.Open(slot, Libc.O_PATH);
        if (path < 0)
            return path;
        var fd = Underneath.Stat(path, out var file);
        if (fd == 0 && (fd = Underneath.SetMode(path, (uint)(file.Mode & 0xfff) | readAndWrite)) == 0)
        {
            fd = _underneath.Open(slot, mode);
            _ = Underneath.SetMode(path, (uint)file.Mode & 0xfff);
        }
        _ = Libc.Close(path);
        return fd;
    }

    private void TakeReleased(List<OpenHandle> handles)
    {
        foreach (var handle in handles)
        {
            if (handle.State->Use != HandleUse.Released)
                continue;
            _handles.Leave(handle);
            _released.Enqueue(handle);
        }
    }

    private void OpenUnderneath(List<OpenHandle> handles)
    {
        FinishRename();
        foreach (var handle in handles)
        {
            var (slot, mode) = (handle.NodeIndex, (int)handle.State->Flags & Libc.O_ACCMODE);
            if (handle.State->Use == HandleUse.Open && handle.State->Backing != 0)
            {
                if (handle.Node->Hidden == 0 && _underneath.Stat(slot, out _) < 0)
                    FindHidden(slot);
                continue;
            }
            if (handle.State->Use == HandleUse.Free)
                continue;
            handle.Descriptor = _underneath.Open(slot, mode);
            // The kill may have come between hiding it and noting that.
            if (handle.Descriptor < 0 && handle.Node->Hidden == 0 && FindHidden(slot))
                handle.Descriptor = _underneath.Open(slot, mode);
            // A file may be written by who made it read-only, but not opened again.
            if (handle.Descriptor == -Errno.EACCES && !_isRoot)
                handle.Descriptor = OpenReadOnly(slot, mode);
            handle.Descriptor = Math.Max(handle.Descriptor, -1);
            // After the machine died, files that were not written since are as they were left, whatever the account says.
            if (_account is not null && handle.Writable && Underneath.Stat(handle.Descriptor, out var file) == 0
                && (!_account.IsOfDeadMachine || file.Modify.UnixNanoseconds >= Account.BootTime()))
                handle.Account = _account.Find(file);
            _keeper.Add(handle);
        }
    }

    /// <summary>Adds to the sources what was dropped from a full log, and says so. From any one thread.</summary>
    public void CountDropped()
    {
        var dropped = _log.TakeDropped();
        foreach (var (id, records, bytes) in dropped)
        {
            SourceCounters? counters;
            lock (_countersById)
                counters = _countersById.GetValueOrDefault(id) ?? _counters.Others;
            counters.LostRecordsCount += records;
            counters.LostBytesCount += bytes;
        }
        if (dropped.Count != 0)
            _report($"{dropped.Sum(static d => d.Records)} writes ({dropped.Sum(static d => d.Bytes)} bytes) of {dropped.Count} files were dropped unread to stay within the quota of {_log.QuotaBytes} bytes (when_full: drop_oldest); 'hikyaku status' tells of which");
        lock (_countersById)
        {
            while (_forgotten.TryPeek(out var source) && source.Last < _log.FirstSequence)
                _countersById.Remove(_forgotten.Dequeue().Id);
        }
    }

    private int Append(OpenHandle handle, ulong request, uint uid, uint thread, ulong offset, uint flags, ReadOnlySpan<byte> data)
    {
        if (_keeper.Full is var full and not 0)
            return full;
        var source = handle.Source;
        var node = handle.Node;
        try
        {
            if (!IsStated(source))
                return Errno.ENOSPC;
            if (!handle.Wrote)
            {
                handle.State->Source = source.Id;
                handle.Wrote = true;
            }
            var now = Libc.Now();
            // The kernel's idea of the end may be older than a write of another process that died.
            var at = (flags & Libc.O_APPEND) != 0 ? (ulong)node->Size : offset;
            if (at + (ulong)data.Length > handle.Reach && !Reaches(handle, at + (ulong)data.Length))
                return Errno.EFBIG;
            Span<byte> head = stackalloc byte[WriteRecord.HeadBytes];
            WriteRecord.WriteHead(
                head, handle.State->Source, handle.Number, at, now, request, uid, thread == handle.Thread ? handle.Pid : _processes.Of(thread, now));
            if (!TryAppend(RecordKind.Write, head, data, source, out var sequence))
                return Errno.ENOSPC;
            NoteWritten(node, (long)at + data.Length, now, sequence);
            Announce(sequence);
        }
        catch (LogException)
        {
            _appending = null;
            return Errno.EIO;
        }
        _counters.WritesCount++;
        _counters.BytesCount += data.Length;
        source.Counters.WritesCount++;
        source.Counters.BytesCount += data.Length;
        if (_released.Count != 0)
            AppendCloses();
        return 0;
    }

    // What no file underneath can hold could never be kept. Seeking tells how far it reaches.
    private bool Reaches(OpenHandle handle, ulong end)
    {
        if (end > long.MaxValue)
            return false;
        if (!_keeps || handle.Descriptor < 0)
            return true;
        var ahead = Math.Min(end + ReachStep, long.MaxValue);
        // The keeper asks where its bytes have come to stand.
        lock (handle)
        {
            if (Libc.LSeek(handle.Descriptor, (long)ahead, 0) < 0)
                return Libc.LSeek(handle.Descriptor, (long)end, 0) >= 0;
        }
        handle.Reach = ahead;
        return true;
    }

    // The readers of the present segment know the source, or do so now.
    private bool IsStated(Source source) => source.StatedIn == _log.SegmentStart || State(source) || (MakeRoom() && State(source));

    private bool TryAppend(RecordKind kind, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data, Source source, out ulong sequence)
    {
        _appending = source;
        var isAppended = _log.TryAppend(kind, head, data, out sequence);
        if (!isAppended && MakeRoom())
        {
            _appending = source;
            isAppended = _log.TryAppend(kind, head, data, out sequence);
        }
        _appending = null;
        if (isAppended)
            _appended = sequence;
        return isAppended;
    }

    // Perhaps the log is full only of what is not underneath yet, and every other reader has passed it.
    private bool MakeRoom()
    {
        if (!_keeps || _keeper.Kept > _appended)
            return false;
        _keeper.Await(_appended);
        return true;
    }

    private static void NoteWritten(NodeSlot* node, long end, long time, ulong sequence)
    {
        node->Size = Math.Max(node->Size, end);
        node->Modified = node->Changed = time;
        node->LastSequence = sequence;
    }

    // Wakes whoever sleeps. They announce that they do, fence, and look once more; so one of the two sees the other.
    private void Announce(ulong sequence)
    {
        _appended = sequence;
        _keeper.Appended = sequence;
        Interlocked.MemoryBarrier();
        _doorbell?.RingIfAsleep();
        if (_keeper.IsAsleep)
            _keeper.Wake();
        if (_committer.IsAsleep)
            _committer.Wake();
    }

    private bool State(Source source)
    {
        _appending = null;
        Span<byte> head = stackalloc byte[SourceRecord.HeadBytes];
        SourceRecord.WriteHead(head, source.Id, source.Path.Length);
        if (!_log.TryAppend(RecordKind.Source, head, source.Path, out var sequence))
            return false;
        if (source.Id == 0)
        {
            source.Id = sequence;
            lock (_countersById)
                _countersById[sequence] = source.Counters;
        }
        source.StatedIn = _log.SegmentStart;
        return true;
    }

    // A new segment was opened for a record of this source: a reader of that segment alone must know the source.
    private void RestateSource(LogWriter log)
    {
        if (_appending is { } source)
        {
            State(source);
            // Should its record need yet another segment, that one must know the source too.
            _appending = source;
        }

        ForgetUnusedSources();
    }

    private Source SourceOf(ReadOnlySpan<byte> path, ulong id)
    {
        var source = SourceOf(path);
        if (source.Id == 0 && id != 0)
        {
            source.Id = id;
            lock (_countersById)
                _countersById[id] = source.Counters;
        }
        else if (source.Id != id && id != 0)
        {
            // Another process of this mount knew the path by another number; records of one handle stay under one.
            source = new Source(path.ToArray(), source.Counters) { Id = id, Followed = source.Followed };
        }
        return source;
    }

    private Source SourceOf(ReadOnlySpan<byte> path)
    {
        // Latin-1 keeps every byte, whatever the encoding of the names.
        var key = System.Text.Encoding.Latin1.GetString(path);
        if (!_sources.TryGetValue(key, out var source))
            _sources.Add(key, source = new Source(path.ToArray(), _counters.Of(path)));
        return source;
    }

    // Once per segment, so that paths that are opened once and never again do not pile up.
    private void ForgetUnusedSources()
    {
        foreach (var (path, source) in _sources)
        {
            if (source.Handles != 0)
                continue;
            _sources.Remove(path);
            lock (_countersById)
                _forgotten.Enqueue((source.Id, _appended));
        }
    }

    private void AppendCloses()
    {
        Span<byte> head = stackalloc byte[CloseRecord.HeadBytes];
        while (_released.TryPeek(out var handle))
        {
            var source = handle.Source;
            try
            {
                if (source.StatedIn != _log.SegmentStart && !State(source))
                    return;
                CloseRecord.WriteHead(head, handle.State->Source, handle.Number, Libc.Now());
                _appending = source;
                var isAppended = _log.TryAppend(RecordKind.Close, head, [], out var sequence);
                _appending = null;
                if (!isAppended)
                    return;
                _handles.Close(_released.Dequeue(), sequence);
                Announce(sequence);
            }
            catch (LogException)
            {
                _appending = null;
                return;
            }
            if (_keeps)
                continue;
            // Nobody else closes it.
            _keeper.Remove(handle);
            if (handle.Descriptor >= 0)
                _ = Libc.Close(handle.Descriptor);
            handle.Descriptor = -1;
        }
    }

    private int Block(in FuseRequest request, in WriteIn args, OpenHandle handle, ReadOnlySpan<byte> data)
    {
        if (!_blocked.TryAdd(request, args, handle, data))
            return Refuse(handle, Errno.ENOSPC);
        CountBlocked();
        return Deferred;
    }

    private void CountBlocked() => Volatile.Write(ref _counters.BlockedCount, _blocked.Count);

    private int Refuse(OpenHandle handle, int error)
    {
        _counters.RefusedCount++;
        handle.Source.Counters.RefusedCount++;
        return -error;
    }

    private int AnswerCommitted(ulong rawUnique, uint size)
    {
        // While requests are sent again, later records than this one may wait for their answers still.
        _committer.Defer(rawUnique, size, (rawUnique & FuseRequest.ResentBit) != 0 ? 0 : _appended);
        return Deferred;
    }

    /// <summary>
    /// To be called for a new request, or when there is none: all that had to be sent again has been by now, and so the write of every
    /// record has been answered, unless it waits for a commit. What is left of the set was answered just before the kill.
    /// </summary>
    public void NoteAnswered()
    {
        if (_unanswered.Count != 0)
            _unanswered.Clear();
        if (!_committer.HasWaiting)
            Volatile.Write(ref _state.Header->Answered, _appended);
    }

    private void AnswerNow(ulong rawUnique, uint size)
    {
        var written = new WriteOut { Size = size };
        _device.Reply(rawUnique, new ReadOnlySpan<byte>(&written, Unsafe.SizeOf<WriteOut>()));
    }

    // Pages of a shared mapping, sent whole and again and again: content, but not lines.
    private int WritePages(ulong rawUnique, in WriteIn args, ReadOnlySpan<byte> data, OpenHandle handle)
    {
        var (offset, copy) = ((long)args.Offset, data.ToArray());
        if (!_keeps || handle.Descriptor < 0)
        {
            AnswerNow(rawUnique, args.Size);
            return Deferred;
        }
        _keeper.Post(handle.Node->LastSequence, error =>
        {
            if (error == 0)
                error = _keeper.Overwrite(handle, copy, offset);
            if (error == 0)
                AnswerNow(rawUnique, (uint)copy.Length);
            else
                _device.ReplyError(rawUnique, error);
        });
        return Deferred;
    }
}
