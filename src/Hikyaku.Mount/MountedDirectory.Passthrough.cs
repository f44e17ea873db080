using System.Text;
using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>This part: files that programs write past us, straight to the disk, and whose growth is followed.</summary>
internal sealed unsafe partial class MountedDirectory
{
    // About what a chunk of the transfer holds.
    private const long ExtentBytesMax = 256 * 1024;

    private const uint SetIds = 0xc00;
    private const OpenReplyFlags PassedReply = OpenReplyFlags.Passthrough | OpenReplyFlags.NoFlush;

    private readonly PathPredicate? _passesThrough;
    private readonly Func<int, int> _openBacking;
    private readonly BackingTable _backings;
    private readonly Delivery _delivery;
    private readonly Cutter _cutter;
    private readonly HashSet<string> _notPassed = [];
    private Follower? _follower;
    private bool _canPass;
    private int _isUntold;
    private int _isUnsaved;
    private int _mayLetGo;

    /// <summary>Whether there may be files that are written past us; then <see cref="Follow"/> takes the place of waiting in the kernel.</summary>
    public bool Follows => _follower is not null && (_passesThrough is not null || !_backings.IsEmpty || _scan is not null);

    /// <summary>Waits for requests and follows files meanwhile; true when there is a request.</summary>
    /// <param name="milliseconds">The longest to wait; -1 = for ever.</param>
    public bool Follow(int milliseconds)
    {
        var hasRequest = _follower!.Wait(_device.Descriptor, milliseconds, out var isRung);
        // A log without requests must be retired too.
        if (!hasRequest)
            NoteAnswered();
        if (isRung)
        {
            // That looks at all of them, and the scan rings for each file.
            if (Interlocked.Exchange(ref _mayLetGo, 0) != 0)
                LetGo();
            TakeSuspects();
        }
        _follower.LookAround();
        return hasRequest;
    }

    /// <summary>When no thread uses it any more: leaves what is followed.</summary>
    public void Dispose()
    {
        EndScan();
        foreach (var (_, backing) in _backings.All)
        {
            if (backing.Descriptor >= 0)
                _ = Libc.Close(backing.Descriptor);
            backing.Descriptor = -1;
            // Whoever takes over counts them again.
            if (backing is { Source: not null, IsUnmounted: false })
                Interlocked.Decrement(ref _counters.PassedOpensCount);
            _counters.WaitingCount -= backing.Waiting;
        }
        _follower?.Dispose();
        _delivery.Dispose();
    }

    /// <summary>To be called once a second, by any one thread.</summary>
    public void NoteDelivered()
    {
        CountDropped();
        if (_scan is not null)
            _follower!.Ring();
        if (_backings.IsEmpty)
            return;
        _delivery.Update();
        var mustRing = _delivery.Reclaim();
        foreach (var (_, backing) in _backings.All)
        {
            if (!backing.IsOrphan || IsWritten(backing.Descriptor))
                continue;
            backing.IsOrphan = false;
            mustRing = true;
        }
        if (!mustRing)
            return;
        Volatile.Write(ref _mayLetGo, 1);
        _follower?.Ring();
    }

    // Where leases are not to be had nobody can tell; then somebody is still writing.
    private bool IsWritten(int descriptor)
    {
        var isWritten = Underneath.IsWritten(descriptor);
        if (isWritten is null && Interlocked.Exchange(ref _isUntold, 1) == 0)
            _report("whether programs that outlived their mount still write to files of 'passthrough' cannot be told (no leases: CAP_LEASE is missing, or the file system has none), so these files are followed on");
        return isWritten ?? true;
    }

    // How an open is answered, or an error. A file that is passed through is so for all who open it, until the last of them has closed it.
    private int Pass(OpenHandle handle, in FuseRequest request, out OpenReplyFlags flags, out int backingId)
    {
        (flags, backingId) = (OpenReply, 0);
        if (_passesThrough is null && _backings.IsEmpty)
            return 0;
        var backing = handle.State->Backing != 0 ? _backings.Find(handle.State->Backing) : _backings.Of(handle.Node);
        if (backing is { IsUnmounted: true, Source: not null } && !MayPass(handle))
            return !handle.Writable ? 0 : PassUnmounted(backing, handle);
        var isPassed = backing is not null && (backing.State->KernelId != 0 || backing.State->Session != 0);
        if ((!isPassed && !MayPass(handle)) || !TryRegister(handle, ref backing))
        {
            if (backing is { IsOrphan: true })
            {
                if (!handle.Writable)
                    return 0;
                // What both write would be carried twice, and one would write over the other.
                if (_notPassed.Add("busy"))
                    _report($"{Encoding.UTF8.GetString(handle.Source.Path)} is still written to by a program that got it past an earlier mount, and cannot be passed through now: until that program closes it, others get EBUSY when they open it for writing (as do those of other such files)");
                return -Errno.EBUSY;
            }
            // Else what is written through this handle would be carried twice.
            if (backing is { Writers: 0, Source: not null })
                TryEndSession(backing);
            // What was written past us the node does not know.
            if (!IsAhead(handle.Node) && Underneath.Stat(handle.Descriptor, out var file) == 0)
                (handle.Node->Size, handle.Node->Modified) = ((long)file.Size, file.Modify.UnixNanoseconds);
            return 0;
        }
        // Who goes from a renamed file to its successor has written to it before: so it shall be in the log.
        foreach (var other in handle.Source.Followed)
        {
            if (handle.Writable && other != backing)
                Extend(other);
        }
        if (handle.Writable && backing!.State->Session == 0 && BeginSession(backing, handle, request.Uid) is var error and < 0)
        {
            if (backing.Members == 0)
                Unregister(backing);
            return error;
        }
        if (handle.State->Backing == 0)
        {
            handle.State->Backing = backing!.Number;
            Count(backing, handle);
            // One for the file is enough, however many have it open.
            _ = Libc.Close(handle.Descriptor);
            handle.Descriptor = -1;
        }
        backingId = backing!.State->KernelId;
        flags = _keeps || handle.Writable ? PassedReply : PassedReply | OpenReplyFlags.DirectIO;
        return 0;
    }

    // Whoever writes through us and whoever writes past us would write one over the other.
    private int PassUnmounted(Backing backing, OpenHandle handle)
    {
        if (!backing.IsOrphan)
            return TryEndSession(backing) ? 0 : -Errno.ENOSPC;
        if (_notPassed.Add("unmounted"))
            _report($"{Encoding.UTF8.GetString(handle.Source.Path)} is still written to by a program that opened it while nothing was mounted: that is carried, but until that program closes it, others get EBUSY when they open it for writing (as do those of other such files)");
        return -Errno.EBUSY;
    }

    private static void Count(Backing backing, OpenHandle handle)
    {
        backing.Members++;
        if (handle.Writable)
            backing.Writers++;
    }

    private bool MayPass(OpenHandle handle)
    {
        // Set-id bits are dropped by writes that come to us; those that do not would leave them.
        if (!_canPass || !_passesThrough!(handle.Source.Path) || (handle.Node->Mode & SetIds) != 0)
            return false;
        // Who has it open otherwise may have mapped it, and the kernel does not mix that.
        foreach (var other in _handles.Of(handle.NodeIndex)!)
        {
            if (other != handle && other.State->Backing == 0)
                return false;
        }
        return true;
    }

    // True with the file known to the kernel.
    private bool TryRegister(OpenHandle handle, ref Backing? backing)
    {
        if (backing is not null && backing.State->KernelId != 0)
            return true;
        var node = handle.Node;
        if (_keeps && IsAhead(node))
        {
            _keeper.Await(node->LastSequence);
            if (IsAhead(node))
                return false;
        }
        if (Underneath.Stat(handle.Descriptor, out var file) < 0 || (backing ??= Link(handle, file)) is not { } linked)
            return false;
        // The kernel opens it anew for each program. For reading, so that it counts as written to only while a program can.
        var reading = _delivery.Open(linked, 0);
        var id = _openBacking(reading >= 0 ? reading : handle.Descriptor);
        if (reading >= 0)
            _ = Libc.Close(reading);
        if (id > 0)
        {
            linked.State->KernelId = id;
            // Its size and times are those underneath from now on.
            if (!_keeps)
                node->LastSequence = 0;
            return true;
        }
        _canPass = id != -Errno.EPERM;
        NotPassed(id == -Errno.EPERM
            ? "this process may not pass files through to the disk (CAP_SYS_ADMIN is missing)"
            : $"the kernel does not pass this file system's files through ({Errno.Text(-id)})");
        if (!linked.IsOrphan)
            TryEndSession(linked);
        if (linked.State->Last == 0 && linked.State->Session == 0)
            Release(linked);
        return false;
    }

    private int BeginSession(Backing backing, OpenHandle handle, uint uid)
    {
        var fd = _underneath.Open(handle.NodeIndex, 0);
        if (fd >= _descriptorsForPrograms)
        {
            _ = Libc.Close(fd);
            fd = -Errno.ENFILE;
        }
        if (fd < 0)
            return fd;
        var state = backing.State;
        var size = Libc.LSeek(fd, 0, Libc.SEEK_END);
        if (!backing.IsCutting)
            BeginAt(backing, size);
        (state->Source, state->Uid, state->Pid, state->Time) = (0, uid, handle.Pid, 0);
        // Of what was said about bytes that are not delivered more than the bytes depends on it.
        if (state->Delivered >= state->End)
            state->Synced = 0;
        state->PathLength = (ushort)handle.Source.Path.Length;
        handle.Source.Path.CopyTo(new Span<byte>(state->Path, HandleSlot.PathMax));
        Volatile.Write(ref state->Session, _state.Header->NextHandle++);
        Attend(backing, handle.Source, fd);
        return 0;
    }

    // What stands there already is not carried.
    private void BeginAt(Backing backing, long size)
    {
        var state = backing.State;
        if (state->Extended != size || state->Last == 0)
            state->Punched = (size + 4095) & ~4095L;
        if (size < state->End || backing.Shortened >= 0)
        {
            Shorten(backing, size);
            return;
        }
        if (state->Delivered != size && state->Delivered >= state->End)
        {
            lock (_delivery.Gate)
                state->Delivered = size;
        }
        Volatile.Write(ref state->Extended, size);
    }

    // Not through us, or it would have been noted. False when what is left must be saved first: that is tried until it can be done.
    private bool Shorten(Backing backing, long size)
    {
        var state = backing.State;
        if (backing.Shortened < 0)
            _counters.ShrunkCount++;
        else
            size = Math.Min(size, backing.Shortened);
        _counters.WaitingCount -= backing.Waiting;
        (backing.Waiting, backing.Shortened) = (0, size);
        if (state->Delivered >= state->End)
        {
            lock (_delivery.Gate)
                Delivery.BeginGeneration(state, size);
            backing.Shortened = -1;
            return true;
        }
        backing.BeginCut();
        _keeper.Post(0, _ =>
        {
            var error = _cutter.Shorten(backing, size);
            if (error != 0)
                ReportUnsaved(error);
            backing.EndCut();
        });
        return false;
    }

    private void ReportUnsaved(int error)
    {
        if (Interlocked.Exchange(ref _isUnsaved, 1) == 0)
            _report($"a file of 'passthrough' was cut underneath, and what is left of it, and not delivered, cannot be saved ({Errno.Text(error)}); it is followed again when that can be done");
    }

    // Keeps the file reachable, whatever becomes of its names.
    private Backing? Link(OpenHandle handle, in Libc.Statx file)
    {
        var backing = _backings.Take(_state.Header->NextHandle++, file);
        if (backing is null)
            return null;
        var error = _underneath.Locate(handle.NodeIndex, out var directory, out var name);
        fixed (byte* link = backing.Link)
        {
            if (error == 0 && Libc.LinkAt(directory, name, _underneath.RootDescriptor, link, 0) != 0)
                error = -Libc.Error;
        }
        if (error == 0)
            return backing;
        _backings.Free(backing);
        NotPassed($"no second name can be made for a file in the directory underneath ({Errno.Text(-error)})");
        return null;
    }

    private void NotPassed(string reason)
    {
        _counters.NotPassed = reason;
        if (_notPassed.Add(reason))
            _report($"files of 'passthrough' are captured as all others are: {reason}");
    }

    private void Attend(Backing backing, Source source, int fd)
    {
        (backing.Source, backing.Descriptor) = (source, fd);
        source.Handles++;
        source.Followed.Add(backing);
        if (!backing.IsUnmounted)
            Interlocked.Increment(ref _counters.PassedOpensCount);
        _follower!.Heat(backing);
    }

    // A handle of it was released.
    private void Part(OpenHandle handle)
    {
        if (_backings.Find(handle.State->Backing) is not { } backing)
            return;
        backing.Members--;
        if (handle.Writable)
            backing.Writers--;
        if (backing is { Writers: <= 0, IsOrphan: false } && !TryEndSession(backing))
            _follower!.Heat(backing);
        else if (backing.Members <= 0)
            Unregister(backing);
    }

    private Look LookAt(Backing backing)
    {
        if (backing.Descriptor < 0)
        {
            // Its slot may be another's by now.
            if (backing.Members <= 0 && _backings.Find(backing.Number) == backing && backing.State->Session == 0)
                Unregister(backing);
            return Look.Done;
        }
        if (backing.Writers <= 0 && !backing.IsOrphan)
        {
            if (!TryEndSession(backing))
                return Look.Stuck;
            if (backing.Members <= 0)
                Unregister(backing);
            return Look.Done;
        }
        return Extend(backing);
    }

    // Puts into the log what the file has grown by, but for what is there already.
    private Look Extend(Backing backing)
    {
        while (backing.Own.TryPeek(out var own))
        {
            var extended = backing.State->Extended;
            if (extended < own.From && Extend(backing, own.From) is var look && backing.State->Extended < own.From)
                return look;
            Volatile.Write(ref backing.State->Extended, Math.Max(backing.State->Extended, own.To));
            backing.Own.Dequeue();
        }
        return Extend(backing, long.MaxValue);
    }

    private Look Extend(Backing backing, long limit)
    {
        var state = backing.State;
        if (backing.IsCutting)
            return Look.Nothing;
        var size = Math.Min(Libc.LSeek(backing.Descriptor, 0, Libc.SEEK_END), limit);
        if (size < 0)
            return Look.Nothing;
        if (state->RestFrom < state->RestTo && !TryAppendRest(backing))
            return Look.Stuck;
        if (size < state->End || backing.Shortened >= 0)
            return Shorten(backing, size) ? Look.Growth : Look.Saving;
        if (size < state->Extended)
        {
            // Of what was cut off nothing was to be carried.
            Volatile.Write(ref state->Extended, size);
            _counters.WaitingCount -= backing.Waiting;
            backing.Waiting = 0;
            _counters.ShrunkCount++;
            return Look.Growth;
        }
        if (size == state->Extended)
            return Look.Nothing;
        if (backing.IsUnmounted && Underneath.Stat(backing.Descriptor, out var file) == 0)
            state->Time = Math.Max(file.Modify.UnixNanoseconds, 1);
        // Small holes are zeros as the file has them; a large one may be larger than any disk.
        var (end, done) = (size - state->Extended > ExtentBytesMax ? state->Extended : size, 0L);
        while (state->Extended < size)
        {
            if (state->Extended == end && (end = EndOfData(backing, size)) == state->Extended)
                break;
            var from = state->Extended;
            var to = Math.Min(end, from + ExtentBytesMax);
            if (!TryAppendExtent(backing, state->Generation, from, to))
                break;
            // A kill before this: whoever comes next finds it in the log.
            state->End = to;
            Volatile.Write(ref state->Extended, to);
            done += to - from;
        }
        Announce(_appended);
        if (backing.IsUnmounted)
            _counters.UnmountedBytesCount += done;
        else
            _counters.PassedBytesCount += done;
        _counters.BytesCount += done;
        backing.Source!.Counters.BytesCount += done;
        _counters.WaitingCount += size - state->Extended - backing.Waiting;
        backing.Waiting = size - state->Extended;
        return backing.Waiting == 0 ? Look.Growth : Look.Stuck;
    }

    // Skips the hole that begins where nothing is noticed yet, if one does.
    private static long EndOfData(Backing backing, long size)
    {
        var state = backing.State;
        var data = Libc.LSeek(backing.Descriptor, state->Extended, Libc.SEEK_DATA);
        if (data < 0)
            data = Libc.Error == Errno.ENXIO ? size : state->Extended;
        Volatile.Write(ref state->Extended, Math.Min(data, size));
        var hole = Libc.LSeek(backing.Descriptor, state->Extended, Libc.SEEK_HOLE);
        return hole > state->Extended ? Math.Min(hole, size) : size;
    }

    // What came while the file was cut.
    private bool TryAppendRest(Backing backing)
    {
        var state = backing.State;
        while (state->RestFrom < state->RestTo)
        {
            var to = Math.Min(state->RestTo, state->RestFrom + ExtentBytesMax);
            if (!TryAppendExtent(backing, state->RestGeneration, state->RestFrom, to))
                return false;
            Volatile.Write(ref state->RestFrom, to);
        }
        _delivery.NeedSaved(backing, state->RestGeneration, state->Last);
        Announce(_appended);
        return true;
    }

    private bool TryAppendExtent(Backing backing, ulong generation, long from, long to)
    {
        var state = backing.State;
        var source = backing.Source!;
        try
        {
            if (!IsStated(source))
                return false;
            if (state->Source == 0)
                state->Source = source.Id;
            Span<byte> body = stackalloc byte[ExtentRecord.HeadBytes];
            ExtentRecord.WriteHead(
                body, state->Source, state->Session, state->Number, generation, (ulong)from, (ulong)to, backing.IsUnmounted ? state->Time : Libc.Now(), state->Uid, state->Pid);
            if (!TryAppend(RecordKind.Extent, body, [], source, out var sequence))
                return false;
            state->Last = sequence;
            _counters.ExtentsCount++;
            return true;
        }
        catch (LogException)
        {
            _appending = null;
            return false;
        }
    }

    // False when it must be tried again: there is no room in the log, or the file is being cut.
    private bool TryEndSession(Backing backing)
    {
        var state = backing.State;
        if (backing.IsCutting)
            return false;
        if (state->Session != 0)
        {
            if (Extend(backing) is Look.Stuck or Look.Saving)
                return false;
            // Before anything says that it is over: a successor would take it for growth that nobody has noticed.
            NoteAccounted(backing);
            if (!TryAppendClose(backing))
                return false;
            if (Underneath.Stat(backing.Descriptor, out var file) == 0 && _nodes.SlotOf(file) is var slot and not 0)
                (_nodes[slot]->Size, _nodes[slot]->Modified) = ((long)file.Size, file.Modify.UnixNanoseconds);
            Volatile.Write(ref state->Session, 0);
        }
        if (backing.Descriptor >= 0)
        {
            _follower?.Forget(backing);
            _ = Libc.Close(backing.Descriptor);
            backing.Descriptor = -1;
            backing.Source!.Handles--;
            backing.Source.Followed.Remove(backing);
            if (!backing.IsUnmounted)
                Interlocked.Decrement(ref _counters.PassedOpensCount);
        }
        (backing.Source, backing.Found, backing.IsOrphan) = (null, null, false);
        return true;
    }

    // Nobody has it open any more.
    private void Unregister(Backing backing)
    {
        if (backing.State->KernelId != 0)
            _device.CloseBacking(backing.State->KernelId);
        backing.State->KernelId = 0;
        if (backing.State->Last == 0 && backing.State->Session == 0)
            Release(backing);
    }

    private bool TryAppendClose(Backing backing)
    {
        var state = backing.State;
        var source = backing.Source!;
        // Nothing was ever noticed.
        if (state->Source == 0)
            return true;
        try
        {
            if (source.StatedIn != _log.SegmentStart && !State(source))
                return false;
            Span<byte> body = stackalloc byte[CloseRecord.HeadBytes];
            CloseRecord.WriteHead(body, state->Source, state->Session, Libc.Now());
            if (!TryAppend(RecordKind.Close, body, [], source, out var sequence))
                return false;
            Announce(sequence);
            return true;
        }
        catch (LogException)
        {
            _appending = null;
            return false;
        }
    }

    // After an abort programs go on writing, and notice nothing; the next mount finds out what has become of them.
    private void EndSessions(bool isAborted, Action<string> report)
    {
        var stuck = 0;
        foreach (var (_, backing) in _backings.All)
        {
            if (backing.Source is null)
                continue;
            Extend(backing);
            stuck += isAborted || backing.IsOrphan || TryEndSession(backing) ? 0 : 1;
        }
        if (stuck > 0)
            report($"the log has no room for what {stuck} files grew by; it is carried when the mount is made again");
    }

    // What nobody has open, and is delivered.
    private void LetGo()
    {
        foreach (var (_, backing) in _backings.All)
        {
            if (_delivery.IsOver(backing))
                Release(backing);
            else if (backing is { Writers: 0, Source: not null, IsOrphan: false })
                _follower!.Heat(backing);
        }
    }

    private void Release(Backing backing)
    {
        var fd = _delivery.Open(backing, Libc.O_PATH);
        _delivery.RemoveNames(backing);
        // If this was its last name, giving back the room of a large file takes long; that is for another thread.
        if (fd >= 0)
            _keeper.Post(0, _ => Libc.Close(fd));
        _backings.Free(backing);
    }

    // As programs see it: without the second name of ours.
    private uint LinksOf(in Libc.Statx file) => file.Links - (_backings.Has(file) ? Math.Min(1, file.Links) : 0);

    private int TruncatePassed(in FuseRequest request, in SetAttrIn args, Backing backing, int fd, NodeSlot* node)
    {
        if (backing.State->Session != 0 && Extend(backing) == Look.Stuck)
        {
            _ = Libc.Close(fd);
            return -Errno.ENOSPC;
        }
        backing.BeginCut();
        var (unique, copy, upto) = (request.RawUnique, args, node->LastSequence);
        _keeper.Post(args.Size == 0 ? 0 : upto, error =>
        {
            if (copy.Size == 0)
                (node->Emptied, error) = (upto, 0);
            var before = Libc.LSeek(fd, 0, Libc.SEEK_END);
            if (error == 0)
                error = _cutter.Resize(backing, fd, (long)copy.Size);
            if (error == 0)
                node->Size = (long)copy.Size;
            if (error == 0 && backing.State->Session == 0)
                NoteLength(fd, before);
            backing.EndCut();
            FinishLater(unique, copy, fd, node, error);
        });
        return Deferred;
    }

    private int AllocatePassed(in FuseRequest request, in FAllocateIn args, Backing backing, NodeSlot* node)
    {
        var fd = _delivery.Open(backing, Libc.O_RDWR);
        if (fd < 0)
            return fd;
        var failure = request.Uid != 0 ? DropPrivileges(fd, node) : 0;
        if (failure == 0 && backing.State->Session != 0 && Extend(backing) == Look.Stuck)
            failure = -Errno.ENOSPC;
        if (failure < 0)
        {
            _ = Libc.Close(fd);
            return failure;
        }
        backing.BeginCut();
        var (unique, mode, offset, length, upto) = (request.RawUnique, (int)args.Mode, (long)args.Offset, (long)args.Length, node->LastSequence);
        _keeper.Post(upto, error =>
        {
            var before = Libc.LSeek(fd, 0, Libc.SEEK_END);
            if (error == 0)
                error = _cutter.Allocate(backing, fd, mode, offset, length);
            if (error == 0 && backing.State->Session == 0)
                NoteLength(fd, before);
            // Who writes through us appends where the node ends.
            if (error == 0 && Underneath.Stat(fd, out var file) == 0)
                node->Size = (long)file.Size;
            _ = Libc.Close(fd);
            backing.EndCut();
            Answer(unique, error);
        });
        return Deferred;
    }

    // The bytes first: the log must not say of any on the disk that are not.
    private int SyncPassed(in FuseRequest request, Backing backing)
    {
        var isStuck = Extend(backing) == Look.Stuck;
        var unique = request.RawUnique;
        _keeper.Post(0, _ =>
        {
            var fd = _delivery.Open(backing, 0);
            var error = fd < 0 ? -fd : Libc.FDataSync(fd) == 0 ? 0 : Libc.Error;
            if (fd >= 0)
                _ = Libc.Close(fd);
            if (error == 0 && backing.State->Synced == 0 && (error = Underneath.SyncDirectory(_underneath.RootDescriptor)) == 0)
                backing.State->Synced = 1;
            if (error == 0 && isStuck)
                error = Errno.ENOSPC;
            if (error != 0)
                _device.ReplyError(unique, error);
            else
                _committer.Post(error => Answer(unique, error));
        });
        return Deferred;
    }
}
