using System.Buffers.Binary;
using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>This part: what makes, moves, removes and lists names. Each is carried out once, also when it is sent again.</summary>
internal sealed unsafe partial class MountedDirectory
{
    private readonly Dictionary<ulong, (int Descriptor, long Position)> _listings = [];

    public override int ReadLink(in FuseRequest request, FuseReply reply)
    {
        if (_nodes.Find(request.NodeId, out var slot) is null)
            return -Errno.ESTALE;
        var error = _underneath.Locate(slot, out var directory, out var name);
        if (error < 0)
            return error;
        fixed (byte* target = reply.Payload)
        {
            var length = Libc.ReadLinkAt(directory, name, target, (nuint)Math.Min(reply.Payload.Length, 4095));
            return length < 0 ? -Libc.Error : (int)length;
        }
    }

    public override int Symlink(in FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, FuseReply reply) =>
        Make(request, name, 0, 0, target, 0, reply);

    public override int MkNod(in FuseRequest request, in MkNodIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Make(request, name, args.Mode, args.Rdev, [], 0, reply);

    public override int MkDir(in FuseRequest request, in MkDirIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Make(request, name, args.Mode, 0, [], 0, reply);

    public override int Link(in FuseRequest request, ulong nodeId, ReadOnlySpan<byte> newName, FuseReply reply) =>
        Make(request, newName, 0, 0, [], nodeId, reply);

    public override int Unlink(in FuseRequest request, ReadOnlySpan<byte> name) => Remove(request, name, 0);

    public override int RmDir(in FuseRequest request, ReadOnlySpan<byte> name) => Remove(request, name, Libc.AT_REMOVEDIR);

    public override int Rename(
        in FuseRequest request, ReadOnlySpan<byte> name, ulong newParent, ReadOnlySpan<byte> newName, RenameFlags flags)
    {
        if (IsAnswered(request, default, out var answer))
            return answer;
        if (IsOurs(request.NodeId, name))
            return -Errno.ENOENT;
        if (IsOurs(newParent, newName))
            return -Errno.EPERM;
        if (_nodes.Find(request.NodeId, out var from) is null || _nodes.Find(newParent, out var to) is null)
            return -Errno.ESTALE;
        var fromDirectory = _underneath.Enter(from);
        if (fromDirectory < 0)
            return fromDirectory;
        var toDirectory = _underneath.Enter(to);
        if (toDirectory < 0)
            return toDirectory;
        var oldText = stackalloc byte[NodeSlot.NameMax + 1];
        var newText = stackalloc byte[NodeSlot.NameMax + 1];
        Terminate(name, oldText);
        Terminate(newName, newText);
        var hasOld = Underneath.Stat(fromDirectory, oldText, out var old) == 0;
        var hasTarget = Underneath.Stat(toDirectory, newText, out var target) == 0;
        var isAgain = Begin(request, hasTarget ? target.Inode : 0, hasOld ? old.Inode : 0);
        var before = _state.Header->Operation;
        var isExchange = (flags & RenameFlags.Exchange) != RenameFlags.None;
        var isDone = isAgain && before.Origin != 0 && hasTarget && target.Inode == before.Origin
            && (isExchange ? hasOld && old.Inode == before.Target && before.Target != before.Origin : !hasOld || old.Inode != before.Origin);

        uint moved, replaced;
        if (isDone)
        {
            moved = _nodes.SlotOf(target);
            replaced = isExchange ? _nodes.SlotOf(old) : before.Target == 0 ? 0 : _nodes.SlotOf(newParent, newName);
            if (replaced == moved)
                replaced = 0;
        }
        else
        {
            if (!hasOld)
                return End(-Errno.ENOENT);
            var unsettled = SettleFirst(from, fromDirectory, oldText, old);
            if (unsettled == 0 && hasTarget)
                unsettled = SettleFirst(to, toDirectory, newText, target);
            if (unsettled < 0)
                return End(unsettled);
            moved = _nodes.SlotOf(old);
            replaced = hasTarget ? _nodes.SlotOf(target) : 0;
            if (moved != 0 && moved == replaced && !isExchange)
                return End(Libc.RenameAt2(fromDirectory, oldText, toDirectory, newText, (uint)flags) == 0 ? 0 : -Libc.Error);
            var mustHide = replaced != 0 && flags == RenameFlags.None && BearsName(replaced, newParent, newName) && _handles.Of(replaced) is not null;
            var isHidden = mustHide && HideByLink(replaced, toDirectory, newText);
            if (replaced != 0 && _nodes[replaced]->IsDirectory)
                _ = _underneath.Enter(replaced);
            if (replaced != 0 && !isExchange && LinksOf(target) > 1)
                KeepFirst(replaced);
            MoveSlot.Set(&_state.Header->Moved, moved, newParent, newName, hidden: false);
            if (isExchange)
                MoveSlot.Set(&_state.Header->Exchanged, replaced, request.NodeId, name, hidden: false);
            if (Libc.RenameAt2(fromDirectory, oldText, toDirectory, newText, (uint)flags) != 0)
            {
                var failure = -Libc.Error;
                if (isHidden)
                    GiveName(replaced, to, newName);
                return End(failure);
            }
        }
        if (replaced != 0)
        {
            _nodes[replaced]->Changed = Libc.Now();
            if (isExchange)
                GiveName(replaced, from, name);
            else if (BearsName(replaced, newParent, newName) || (LinksOf(target) <= 1 && _nodes[replaced]->Hidden == 0))
                _nodes.Detach(replaced, isDone ? IsTakenForGone(replaced) : LinksOf(target) <= 1);
        }
        if (moved != 0)
        {
            _nodes[moved]->Changed = Libc.Now();
            GiveName(moved, to, newName);
        }
        return End(0);
    }

    public override int OpenDir(in FuseRequest request, in OpenIn args, FuseReply reply)
    {
        if (_nodes.Find(request.NodeId, out var slot) is null)
            return -Errno.ESTALE;
        var fd = List(slot);
        if (fd >= _descriptorsForPrograms)
        {
            _ = Libc.Close(fd);
            fd = -Errno.ENFILE;
        }
        if (fd < 0)
            return fd;
        var handle = _state.Header->NextHandle++;
        _listings.Add(handle, (fd, 0));
        return reply.Open(handle, OpenReplyFlags.None);
    }

    public override int ReadDir(in FuseRequest request, in ReadIn args, FuseReply reply)
    {
        if (!_listings.TryGetValue(args.Handle, out var listing))
        {
            // Opened before a kill: the offset alone tells where to go on.
            if (_nodes.Find(request.NodeId, out var slot) is null)
                return 0;
            var fd = List(slot);
            if (fd < 0)
                return fd == -Errno.ESTALE ? 0 : fd;
            _listings[args.Handle] = listing = (fd, 0);
        }
        if (listing.Position != (long)args.Offset && Libc.LSeek(listing.Descriptor, (long)args.Offset, 0) < 0)
            return -Libc.Error;
        var isTop = request.NodeId == RootNodeId;
        var writer = new DirectoryWriter(reply.Payload);
        var position = (long)args.Offset;
        // The kernel's entries are at most a third longer than the system call's, so what is read here fits there.
        var buffer = new byte[Math.Max(reply.Payload.Length / 4 * 3, 512) & ~7];
        nint length;
        fixed (byte* start = buffer)
        {
            while (writer.Length == 0 && (length = Libc.GetDents(listing.Descriptor, start, (nuint)buffer.Length)) != 0)
            {
                if (length < 0)
                    return Libc.Error == Errno.ENOENT ? 0 : -Libc.Error;
                for (var rest = buffer.AsSpan(0, (int)length); rest.Length > 19;)
                {
                    var size = BinaryPrimitives.ReadUInt16LittleEndian(rest[16..]);
                    var next = BinaryPrimitives.ReadInt64LittleEndian(rest[8..]);
                    var name = rest[19..size];
                    name = name[..name.IndexOf((byte)0)];
                    if (!(isTop && HiddenName.Is(name))
                        && !writer.TryAdd(BinaryPrimitives.ReadUInt64LittleEndian(rest), (ulong)next, rest[18], name))
                    {
                        _listings[args.Handle] = (listing.Descriptor, -1);
                        return writer.Length;
                    }
                    position = next;
                    rest = rest[size..];
                }
            }
        }
        _listings[args.Handle] = (listing.Descriptor, position);
        return writer.Length;
    }

    public override int ReleaseDir(in FuseRequest request, in ReleaseIn args)
    {
        if (_listings.Remove(args.Handle, out var listing))
            _ = Libc.Close(listing.Descriptor);
        return 0;
    }

    public override int FSyncDir(in FuseRequest request, in FSyncIn args)
    {
        if (_nodes.Find(request.NodeId, out var slot) is null)
            return -Errno.ESTALE;
        var fd = List(slot);
        if (fd < 0)
            return fd;
        var unique = request.RawUnique;
        _committer.Post(error =>
        {
            if (error == 0 && Libc.FSync(fd) != 0)
                error = Libc.Error;
            _ = Libc.Close(fd);
            Answer(unique, error);
        });
        return Deferred;
    }

    // MKDIR, MKNOD, SYMLINK and LINK.
    private int Make(
        in FuseRequest request, ReadOnlySpan<byte> name, uint mode, uint rdev, ReadOnlySpan<byte> target, ulong linked, FuseReply reply)
    {
        if (IsAnswered(request, reply, out var answer))
            return answer;
        if (IsOurs(request.NodeId, name))
            return -Errno.EPERM;
        if (_nodes.Find(request.NodeId, out var parent) is null)
            return -Errno.ESTALE;
        var directory = _underneath.Enter(parent);
        if (directory < 0)
            return directory;
        var text = stackalloc byte[NodeSlot.NameMax + 1];
        Terminate(name, text);
        var exists = Underneath.Stat(directory, text, out var file) == 0;
        var isAgain = Begin(request, exists ? file.Inode : 0, 0);
        if (!(isAgain && exists && _state.Header->Operation.Target == 0))
        {
            var error = Make(request.Opcode, directory, text, mode, rdev, target, linked);
            if (error < 0)
                return End(error);
        }
        if (request.Opcode != Opcode.Link && OwnByName(directory, text, mode, request, parent) is var failure and < 0)
        {
            _ = Libc.UnlinkAt(directory, text, request.Opcode == Opcode.MkDir ? Libc.AT_REMOVEDIR : 0);
            return End(failure);
        }
        return End(Entry(directory, parent, text, name, reply, out _), reply);
    }

    private int Make(Opcode opcode, int directory, byte* text, uint mode, uint rdev, ReadOnlySpan<byte> target, ulong linked)
    {
        int result;
        if (opcode == Opcode.MkDir)
        {
            result = Libc.MkDirAt(directory, text, mode & 0xfff);
        }
        else if (opcode == Opcode.MkNod)
        {
            // From the kernel's 32-bit form to the C library's 64-bit one.
            ulong major = (rdev >> 8) & 0xfff;
            ulong minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
            result = Libc.MkNodAt(directory, text, mode, (minor & 0xff) | (major << 8) | ((minor & ~0xfful) << 12));
        }
        else if (opcode == Opcode.Symlink)
        {
            var content = stackalloc byte[4096];
            target.CopyTo(new Span<byte>(content, 4095));
            content[target.Length] = 0;
            result = Libc.SymlinkAt(content, directory, text);
        }
        else
        {
            if (_nodes.Find(linked, out var slot) is null)
                return -Errno.ESTALE;
            var error = _underneath.Locate(slot, out var from, out var old);
            if (error < 0)
                return error;
            result = Libc.LinkAt(from, old, directory, text, 0);
            if (result == 0)
                _nodes[slot]->Changed = Libc.Now();
        }
        return result == 0 ? 0 : -Libc.Error;
    }

    private int OwnByName(int directory, byte* text, uint mode, in FuseRequest request, uint parent)
    {
        var fd = Libc.OpenAt(directory, text, Libc.O_PATH | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return -Libc.Error;
        var error = Own(fd, mode, request, parent);
        _ = Libc.Close(fd);
        return error;
    }

    // Who makes a file owns it, and the mode is what was asked for whatever our own umask is.
    private int Own(int fd, uint mode, in FuseRequest request, uint parent)
    {
        const uint setGroup = 0x400;

        var inheritsGroup = InheritsGroup(parent);
        var error = _isRoot ? Underneath.SetOwner(fd, request.Uid, inheritsGroup ? uint.MaxValue : request.Gid) : 0;
        if (error < 0 || request.Opcode == Opcode.Symlink)
            return error;
        return Underneath.SetMode(fd, (mode & 0xfff) | (inheritsGroup && request.Opcode == Opcode.MkDir ? setGroup : 0));
    }

    private bool InheritsGroup(uint parent) => _underneath.Stat(parent, out var file) == 0 && (file.Mode & 0x400) != 0;

    private int Remove(in FuseRequest request, ReadOnlySpan<byte> name, int flags)
    {
        if (IsAnswered(request, default, out var answer))
            return answer;
        if (IsOurs(request.NodeId, name))
            return -Errno.ENOENT;
        if (_nodes.Find(request.NodeId, out var parent) is null)
            return -Errno.ESTALE;
        var directory = _underneath.Enter(parent);
        if (directory < 0)
            return directory;
        var text = stackalloc byte[NodeSlot.NameMax + 1];
        Terminate(name, text);
        var exists = Underneath.Stat(directory, text, out var file) == 0;
        var isAgain = Begin(request, exists ? file.Inode : 0, 0);
        if (!exists)
        {
            if (!isAgain || _state.Header->Operation.Target == 0)
                return End(-Errno.ENOENT);
            // It happened; what the tables should say about it may be missing.
            var gone = _nodes.SlotOf(request.NodeId, name);
            if (gone != 0 && !FindHidden(gone))
                _nodes.Detach(gone, IsTakenForGone(gone));
            return End(0);
        }
        if (SettleFirst(parent, directory, text, file) is var unsettled and < 0)
            return End(unsettled);
        var slot = _nodes.SlotOf(file);
        var bearsName = slot != 0 && BearsName(slot, request.NodeId, name);
        var isLast = flags != 0 || LinksOf(file) <= 1;
        // Whoever is in a directory may go on looking around there after it was removed.
        if (slot != 0 && flags != 0)
            _ = _underneath.Enter(slot);
        if (!(bearsName && flags == 0 && _handles.Of(slot) is not null && HideByRename(slot, directory, text)))
        {
            if (bearsName && !isLast)
                KeepFirst(slot);
            if (Libc.UnlinkAt(directory, text, flags) != 0)
                return End(-Libc.Error);
            if (bearsName || (slot != 0 && isLast))
                _nodes.Detach(slot, isLast);
        }
        if (slot != 0)
            _nodes[slot]->Changed = Libc.Now();
        return End(0);
    }

    private bool BearsName(uint slot, ulong parent, ReadOnlySpan<byte> name)
    {
        var node = _nodes[slot];
        return node->Hidden == 0 && node->Parent == parent && NodeSlot.NameOf(node).SequenceEqual(name);
    }

    // It loses the name we know, but not its last: a successor of this process could not put there what is not underneath yet.
    private void KeepFirst(uint slot)
    {
        if (_keeps && _nodes[slot]->IsRegular && IsAhead(_nodes[slot]))
            _keeper.Await(_nodes[slot]->LastSequence);
    }

    // Whether it had another name is not known. If it had not, its birth tells it from a later file with its inode number.
    private bool IsTakenForGone(uint slot) => _nodes[slot]->Birth == 0;

    // An open file stays readable after its name is gone, also for a successor of this process, so it needs some name.
    private bool HideByRename(uint slot, int directory, byte* text)
    {
        var hidden = HiddenName.Of(_nodes.IdOf(slot));
        fixed (byte* name = hidden)
        {
            if (Libc.RenameAt2(directory, text, _underneath.RootDescriptor, name, 0) != 0)
                return false;
        }
        _nodes.Move(slot, NodeTable.Root, hidden.AsSpan(..^1), hidden: true);
        return true;
    }

    // By a second name, so that the file's own is replaced in one step.
    private bool HideByLink(uint slot, int directory, byte* text)
    {
        var hidden = HiddenName.Of(_nodes.IdOf(slot));
        fixed (byte* name = hidden)
        {
            if (Libc.LinkAt(directory, text, _underneath.RootDescriptor, name, 0) != 0 && Libc.Error != Errno.EEXIST)
                return false;
        }
        _nodes.Move(slot, NodeTable.Root, hidden.AsSpan(..^1), hidden: true);
        return true;
    }

    // One that everybody may see, so it needs no hidden one.
    private void GiveName(uint slot, uint parent, ReadOnlySpan<byte> name)
    {
        var isHidden = _nodes[slot]->Hidden != 0;
        _nodes.Move(slot, parent, name, hidden: false);
        if (isHidden)
            RemoveHidden(slot);
    }

    private bool FindHidden(uint slot)
    {
        var hidden = HiddenName.Of(_nodes.IdOf(slot));
        fixed (byte* name = hidden)
        {
            if (Underneath.Stat(_underneath.RootDescriptor, name, out var file) != 0 || file.Inode != _nodes[slot]->Inode)
                return false;
        }
        _nodes.Move(slot, NodeTable.Root, hidden.AsSpan(..^1), hidden: true);
        return true;
    }

    // A process was killed in the middle of a rename: if it came to pass, the nodes are where it took them.
    private void FinishRename()
    {
        var header = _state.Header;
        if (header->Operation.Step != OperationStep.Started)
            return;
        FinishRename(&header->Moved, header->Exchanged.Node);
        FinishRename(&header->Exchanged, header->Moved.Node);
    }

    private void FinishRename(MoveSlot* move, uint other)
    {
        var slot = move->Node;
        if (slot <= NodeTable.Root || slot >= _state.Header->NodesAllocated || _nodes.Find(move->Parent, out var parent) is null)
            return;
        var directory = _underneath.Enter(parent);
        if (_nodes[slot]->Used == 0 || directory < 0
            || Underneath.Stat(directory, move->Name, out var file) < 0 || _nodes.SlotOf(file) != slot)
            return;
        var name = MoveSlot.NameOf(move);
        var replaced = _nodes.SlotOf(move->Parent, name);
        if (replaced == slot)
            return;
        if (replaced != 0 && replaced != other)
            _nodes.Detach(replaced, IsTakenForGone(replaced));
        GiveName(slot, parent, name);
    }

    /// <summary>Removes hidden names that nothing open needs: of a mount that is no more, or left by a kill.</summary>
    public void RemoveLeftovers()
    {
        foreach (var text in HiddenName.List(_underneath.RootDescriptor))
        {
            if (!HiddenName.IsUnlinked(text.AsSpan(..^1), out var id)
                || (_nodes.Find(id, out var slot) is not null && _nodes[slot]->Hidden != 0 && _handles.Of(slot) is not null))
                continue;
            fixed (byte* name = text)
                _ = Libc.UnlinkAt(_underneath.RootDescriptor, name, 0);
        }
    }

    private void RemoveHidden(uint slot)
    {
        fixed (byte* name = HiddenName.Of(_nodes.IdOf(slot)))
            _ = Libc.UnlinkAt(_underneath.RootDescriptor, name, 0);
    }

    // A descriptor of its own for reading a directory.
    private int List(uint slot)
    {
        var directory = _underneath.Enter(slot);
        return directory < 0 ? directory : Underneath.OpenAnew(directory);
    }

    // True when the request was carried out by a process that died before it could send the answer.
    private bool IsAnswered(in FuseRequest request, FuseReply reply, out int answer)
    {
        ref var slot = ref _state.Header->Operation;
        answer = slot.Answer;
        if (!request.Resent || slot.Request != request.Unique || slot.Step != OperationStep.Done)
            return false;
        fixed (byte* saved = slot.Reply)
        {
            if (answer > 0)
                new ReadOnlySpan<byte>(saved, answer).CopyTo(reply.Payload);
        }
        return true;
    }

    // Notes what the names meant before. True, and the old note stays, when a process died in the middle of this very request.
    private bool Begin(in FuseRequest request, ulong target, ulong origin)
    {
        ref var slot = ref _state.Header->Operation;
        if (request.Resent && slot.Request == request.Unique && slot.Step == OperationStep.Started)
            return true;
        Volatile.Write(ref *(uint*)&_state.Header->Operation.Step, (uint)OperationStep.None);
        (_state.Header->Moved.Node, _state.Header->Exchanged.Node) = (0, 0);
        slot.Request = request.Unique;
        slot.Target = target;
        slot.Origin = origin;
        Volatile.Write(ref *(uint*)&_state.Header->Operation.Step, (uint)OperationStep.Started);
        return false;
    }

    private int End(int answer, FuseReply reply = default)
    {
        ref var slot = ref _state.Header->Operation;
        slot.Answer = answer;
        fixed (byte* saved = slot.Reply)
        {
            if (answer > 0)
                reply.Payload[..answer].CopyTo(new Span<byte>(saved, OperationSlot.ReplyMax));
        }
        Volatile.Write(ref *(uint*)&_state.Header->Operation.Step, (uint)OperationStep.Done);
        return answer;
    }

    private void Answer(ulong rawUnique, int error)
    {
        if (error == 0)
            _device.Reply(rawUnique, []);
        else
            _device.ReplyError(rawUnique, error);
    }
}
