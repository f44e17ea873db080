using System.Runtime.CompilerServices;
using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>This part: open files.</summary>
internal sealed unsafe partial class MountedDirectory
{
    private const OpenReplyFlags OpenReply = OpenReplyFlags.DirectIO | OpenReplyFlags.NoFlush;

    public override int Open(in FuseRequest request, in OpenIn args, FuseReply reply)
    {
        var node = _nodes.Find(request.NodeId, out var slot);
        if (node is null)
            return -Errno.ESTALE;
        if (!node->IsRegular)
            return node->IsDirectory ? -Errno.EISDIR : -Errno.ENXIO;
        var handle = request.Resent ? _handles.FindByRequest(request.Unique) : null;
        if (handle is null)
        {
            var mode = (int)args.Flags & Libc.O_ACCMODE;
            var fd = _underneath.Open(slot, mode);
            if (fd < 0)
                return fd;
            if (mode != 0 && MustSettle(slot, fd))
            {
                // Nobody who looks for writers shall find us.
                _ = Libc.Close(fd);
                if (SettleFirst(slot) is var unsettled and < 0)
                    return unsettled;
                if ((fd = _underneath.Open(slot, mode)) < 0)
                    return fd;
            }
            var error = Take(request, slot, args.Flags, fd, out handle);
            if (error < 0)
                return error;
        }
        if (Pass(handle!, request, out var flags, out var backingId) is var refused and < 0)
        {
            Release(handle!);
            return refused;
        }
        return reply.Open(handle!.KernelHandle, flags, backingId);
    }

    public override int Create(in FuseRequest request, in CreateIn args, ReadOnlySpan<byte> name, FuseReply reply)
    {
        if (IsAnswered(request, reply, out var answer))
            return answer;
        if (IsOurs(request.NodeId, name))
            return -Errno.EPERM;
        if (_nodes.Find(request.NodeId, out var parent) is null)
            return -Errno.ESTALE;
        if (!MayMake(parent, name))
            return -Errno.EPERM;
        var directory = _underneath.Enter(parent);
        if (directory < 0)
            return directory;
        var text = stackalloc byte[NodeSlot.NameMax + 1];
        Terminate(name, text);
        var exists = Underneath.Stat(directory, text, out var file) == 0;
        var isMade = Begin(request, exists ? file.Inode : 0, 0) && exists && _state.Header->Operation.Target == 0;
        // The kernel found no such name: what has come there behind its back it finds when it looks again.
        if (exists && !isMade)
            return End((args.Flags & Libc.O_EXCL) != 0 ? -Errno.EEXIST : -Errno.ESTALE);
        const int ours = 0x180; // 0600 until the owner is set.
        var fd = Libc.OpenAt(
            directory, text,
            ((int)args.Flags & Libc.O_ACCMODE) | (isMade ? 0 : Libc.O_CREAT | Libc.O_EXCL) | Libc.O_NOFOLLOW | Libc.O_CLOEXEC | Libc.O_NONBLOCK, ours);
        if (fd < 0)
            return End(-Libc.Error);
        var slot = 0u;
        answer = Own(fd, args.Mode & 0xfff, request, parent);
        if (answer < 0)
            _ = Libc.UnlinkAt(directory, text, 0);
        else
            answer = Entry(directory, parent, text, name, reply, out slot);
        if (answer < 0)
        {
            _ = Libc.Close(fd);
            return End(answer);
        }
        var handle = request.Resent ? _handles.FindByRequest(request.Unique) : null;
        if (handle is not null)
            _ = Libc.Close(fd);
        else if (Take(request, slot, args.Flags, fd, out handle) is var error and < 0)
            return End(error);
        if (Pass(handle!, request, out var flags, out var backingId) is var refused and < 0)
        {
            Release(handle!);
            return End(refused);
        }
        Unsafe.WriteUnaligned(
            ref reply.Payload[Unsafe.SizeOf<EntryOut>()], new OpenOut { Handle = handle!.KernelHandle, OpenFlags = flags, BackingId = backingId });
        return End(Unsafe.SizeOf<EntryOut>() + Unsafe.SizeOf<OpenOut>(), reply);
    }

    public override int Release(in FuseRequest request, in ReleaseIn args)
    {
        var handle = _handles.Find(args.Handle);
        if (handle is null)
            return 0;
        Release(handle);
        return 0;
    }

    public override int Flush(in FuseRequest request, in FlushIn args) => 0;

    public override int Read(in FuseRequest request, in ReadIn args, FuseReply reply)
    {
        var handle = _handles.Find(args.Handle);
        if (handle is null || !handle.Readable)
            return -Errno.EBADF;
        if (!_keeps)
            return -Errno.ENODATA;
        if (handle.Descriptor < 0)
            return -Errno.ESTALE;
        var (unique, offset, size) = (request.RawUnique, (long)args.Offset, reply.Payload.Length);
        _keeper.Post(IsAhead(handle.Node) ? handle.Node->LastSequence : 0, _ =>
        {
            // When not everything could be kept, what could is shown.
            var buffer = ReadBuffer(size);
            nint length;
            fixed (byte* start = buffer)
            {
                while ((length = Libc.PRead(handle.Descriptor, start, (nuint)size, offset)) < 0 && Libc.Error == Errno.EINTR)
                {
                }
            }
            if (length < 0)
                _device.ReplyError(unique, Libc.Error);
            else
                _device.Reply(unique, buffer.AsSpan(0, (int)length));
        });
        return Deferred;
    }

    public override int FSync(in FuseRequest request, in FSyncIn args)
    {
        var handle = _handles.Find(args.Handle);
        if (handle is null)
            return -Errno.EBADF;
        if (handle.State->Backing != 0 && _backings.Find(handle.State->Backing) is { } backing)
            return SyncPassed(request, backing);
        var (unique, keeps) = (request.RawUnique, _keeps);
        _keeper.Post(handle.Node->LastSequence, error =>
        {
            if (error != 0)
            {
                _device.ReplyError(unique, error);
                return;
            }
            _committer.Post(error =>
            {
                if (error == 0 && keeps && handle.Descriptor >= 0 && Libc.FDataSync(handle.Descriptor) != 0)
                    error = Libc.Error;
                Answer(unique, error);
            });
        });
        return Deferred;
    }

    public override int FAllocate(in FuseRequest request, in FAllocateIn args)
    {
        var handle = _handles.Find(args.Handle);
        if (handle is null)
            return -Errno.EBADF;
        if (!_keeps)
            return -Errno.EOPNOTSUPP;
        if (_backings.Of(handle.Node) is { } backing)
            return AllocatePassed(request, args, backing, handle.Node);
        if (handle.Descriptor < 0)
            return -Errno.EBADF;
        // Unlike with writes, the kernel leaves it to us to find out whether this is a case for it.
        if (request.Uid != 0 && DropPrivileges(handle.Descriptor, handle.Node) is var failure and < 0)
            return failure;
        var (unique, mode, offset, length, upto) = (request.RawUnique, (int)args.Mode, (long)args.Offset, (long)args.Length, handle.Node->LastSequence);
        _keeper.Post(upto, error =>
        {
            var before = Libc.LSeek(handle.Descriptor, 0, Libc.SEEK_END);
            if (error == 0 && Libc.FAllocate(handle.Descriptor, mode, offset, length) != 0)
                error = Libc.Error;
            if (error == 0 && Underneath.Stat(handle.Descriptor, out var file) == 0)
                handle.Node->Size = (long)file.Size;
            if (error == 0)
                NoteLength(handle.Descriptor, before);
            Answer(unique, error);
        });
        return Deferred;
    }

    private int Take(in FuseRequest request, uint slot, uint flags, int fd, out OpenHandle? handle)
    {
        handle = null;
        if (fd >= _descriptorsForPrograms)
        {
            _ = Libc.Close(fd);
            return -Errno.ENFILE;
        }
        Span<byte> path = stackalloc byte[HandleSlot.PathMax];
        var length = _underneath.PathOf(slot, path);
        if (length >= 0 && (flags & Libc.O_ACCMODE) != 0 && _takes?.Invoke(path[..length]) == false)
            length = -Errno.EPERM;
        if (length >= 0)
        {
            var process = _processes.Resolve(request.Pid, Libc.Now());
            var source = SourceOf(path[..length]);
            handle = _handles.Take(slot, flags, request.Unique, request.Pid, process, source, FreeBelow);
        }
        if (handle is null)
        {
            _ = Libc.Close(fd);
            return length < 0 ? length : -Errno.ENFILE;
        }
        handle.Descriptor = fd;
        if (_account is not null && handle.Writable)
            handle.Account = AccountOf(handle);
        _keeper.Add(handle);
        _counters.OpensCount++;
        return 0;
    }

    private const int NamePathMax = HandleSlot.PathMax + 1 + NodeSlot.NameMax;

    // The path of a name in a directory, from the mount point; or a negative error number.
    private int PathOf(uint parent, ReadOnlySpan<byte> name, Span<byte> path)
    {
        var length = _underneath.PathOf(parent, path[..HandleSlot.PathMax]);
        if (length < 0)
            return length;
        if (length > 0)
            path[length++] = (byte)'/';
        name.CopyTo(path[length..]);
        return length + name.Length;
    }

    private bool MayMake(uint parent, ReadOnlySpan<byte> name)
    {
        if (_takes is null)
            return true;
        Span<byte> path = stackalloc byte[NamePathMax];
        return PathOf(parent, name, path) is var length && (length < 0 || _takes(path[..length]));
    }

    // Closed handles with records below this sequence are no longer needed.
    private ulong FreeBelow => _keeps ? _keeper.Kept : ulong.MaxValue;

    private void Release(OpenHandle handle)
    {
        _handles.Leave(handle);
        if (handle.Node->Hidden != 0 && _handles.Of(handle.NodeIndex) is null)
        {
            // Another name may be left, one that was not looked at since.
            var isGone = _underneath.Stat(handle.NodeIndex, out var file) < 0 || LinksOf(file) <= 1;
            if (!isGone)
                KeepFirst(handle.NodeIndex);
            RemoveHidden(handle.NodeIndex);
            _nodes.Detach(handle.NodeIndex, isGone);
        }
        if (handle.State->Backing != 0)
            Part(handle);
        if (!handle.Wrote)
        {
            CloseNow(handle);
            return;
        }
        handle.State->Use = HandleUse.Released;
        _released.Enqueue(handle);
        AppendCloses();
        _handles.FreeClosed(FreeBelow);
    }

    private void CloseNow(OpenHandle handle)
    {
        _keeper.Remove(handle);
        if (handle.Descriptor >= 0)
            _ = Libc.Close(handle.Descriptor);
        handle.Descriptor = -1;
        _handles.Free(handle);
    }

    private int Truncate(in FuseRequest request, in SetAttrIn args, uint slot, NodeSlot* node, FuseReply reply)
    {
        if (!node->IsRegular)
            return -Errno.EINVAL;
        var backing = _backings.Of(node);
        if (!_keeps && backing is null && _passesThrough is null)
        {
            node->Size = (long)args.Size;
            node->Modified = Libc.Now();
            node->LastSequence = Math.Max(node->LastSequence, 1);
            NoteModified(args, node);
            var failure = Attributes(slot, node, out var attr);
            return failure < 0 ? failure : reply.Attr(new AttrOut { AttrValid = ValidSeconds, Attr = attr });
        }
        // A descriptor of its own, since the handle may be released before this is done.
        var handle = (args.Valid & SetAttrValid.Handle) != SetAttrValid.None ? _handles.Find(args.Handle) : null;
        int fd;
        if (handle is not { Descriptor: >= 0 } || (handle.State->Flags & Libc.O_ACCMODE) == 0)
            fd = _underneath.Open(slot, Libc.O_WRONLY);
        else if ((fd = Libc.Fcntl(handle.Descriptor, Libc.F_DUPFD_CLOEXEC, 0)) < 0)
            fd = -Libc.Error;
        if (fd < 0)
            return fd;
        if (MustSettle(slot, fd))
        {
            _ = Libc.Close(fd);
            if (SettleFirst(slot) is var unsettled and < 0)
                return unsettled;
            if ((fd = _underneath.Open(slot, Libc.O_WRONLY)) < 0)
                return fd;
            backing = _backings.Of(node);
        }
        if (backing is not null)
            return TruncatePassed(request, args, backing, fd, node);
        var (unique, copy, upto) = (request.RawUnique, args, node->LastSequence);
        _keeper.Post(args.Size == 0 ? 0 : upto, error =>
        {
            error = Resize(fd, node, (long)copy.Size, upto, error);
            FinishLater(unique, copy, fd, node, error);
        });
        return Deferred;
    }

    private int SetTimesLater(in FuseRequest request, in SetAttrIn args, uint slot, NodeSlot* node)
    {
        var fd = _underneath.Open(slot, Libc.O_PATH);
        if (fd < 0)
            return fd;
        var (unique, copy) = (request.RawUnique, args);
        _keeper.Post(node->LastSequence, _ => FinishLater(unique, copy, fd, node, 0));
        return Deferred;
    }

    private void FinishLater(ulong rawUnique, SetAttrIn args, int fd, NodeSlot* node, int error)
    {
        Libc.Statx file = default;
        if (error == 0)
            error = -SetTimes(fd, args);
        if (error == 0)
            error = -Underneath.Stat(fd, out file);
        if (error == 0)
        {
            node->Modified = file.Modify.UnixNanoseconds;
            node->Changed = Math.Max(node->Changed, file.Change.UnixNanoseconds);
            ReplyAttr(rawUnique, file, node);
        }
        else
        {
            _device.ReplyError(rawUnique, error);
        }
        _ = Libc.Close(fd);
    }

    // On the keeper's thread. The kernel holds the file's lock, so no write comes in between.
    private int Resize(int fd, NodeSlot* node, long size, ulong upto, int error)
    {
        // Emptying is how people make room, so it must not need any: what waits to be kept of this file is not needed any more.
        if (size == 0)
            (node->Emptied, error) = (upto, 0);
        if (error != 0)
            return error;
        var hasFile = Underneath.Stat(fd, out var file) == 0;
        var entry = _account is null || !hasFile ? null : _account.Find(file);
        // Others have added to it what is not carried yet, and whoever cuts it here has not seen that.
        if (entry is not null && size >= entry->Length && (long)file.Size > entry->Length)
        {
            node->Size = size;
            return 0;
        }
        if (entry is not null)
            Volatile.Write(ref entry->Next, size);
        error = Libc.FTruncate(fd, size) == 0 ? 0 : Libc.Error;
        if (entry is not null)
            Account.Settle(entry, error == 0 ? size : entry->Length, -1);
        if (error != 0)
            return error;
        node->Size = size;
        return 0;
    }

    private byte[] _readBuffer = [];

    // Used on the keeper's thread only.
    private byte[] ReadBuffer(int size)
    {
        if (_readBuffer.Length < size)
            _readBuffer = new byte[size];
        return _readBuffer;
    }
}
