using System.Runtime.CompilerServices;
using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>
/// The directory as programs see it: the tree underneath, where every write becomes a record of the log. One thread calls it.
/// This part: what a mount consists of, attributes and lookups.
/// </summary>
internal sealed unsafe partial class MountedDirectory : FileSystem, IDisposable
{
    // Only this process changes what is underneath, so the kernel may believe us for a while; it forgets what it changes itself.
    private const ulong ValidSeconds = 1;

    private readonly FuseDevice _device;
    private readonly LogWriter _log;
    private readonly MountState _state;
    private readonly NodeTable _nodes;
    private readonly Underneath _underneath;
    private readonly HandleTable _handles;
    private readonly Keeper _keeper;
    private readonly Committer _committer;
    private readonly Doorbell? _doorbell;
    private readonly MountCounters _counters;
    private readonly Action<string> _report;
    private readonly ProcessIds _processes = new();
    private readonly bool _keeps;
    private readonly PathPredicate? _takes;
    private readonly bool _isStrict;
    private readonly bool _blocks;
    // The rest is for what must go on when programs have opened all they can: segments, attributes, directories.
    private readonly int _descriptorsForPrograms = Libc.DescriptorsMax() - 256;
    private readonly bool _isRoot = Libc.GetEUid() == 0;

    public MountedDirectory(
        FuseDevice device, LogWriter log, MountState state, Underneath underneath, HandleTable handles,
        Keeper keeper, Committer committer, Doorbell? doorbell, ILogStorage storage, MountOptions options, Account? account = null, Account? before = null)
    {
        (_account, _before) = (account, before);
        (_device, _log, _state, _nodes, _underneath, _handles) = (device, log, state, underneath.Nodes, underneath, handles);
        (_keeper, _committer, _doorbell, _counters) = (keeper, committer, doorbell, options.Counters);
        _report = options.Report ?? (static _ => { });
        _keeps = options.Keep == Keep.All;
        _takes = options.Takes;
        _isStrict = options.CommitLevel == CommitLevel.Strict;
        _blocks = options.Log.WhenFull == WhenFull.Block;
        _appended = log.NextSequence - 1;
        _log.SegmentOpened = RestateSource;
        _passesThrough = options.PassesThrough;
        _canPass = _passesThrough is not null && FuseNegotiation.Parse(options.Negotiation).CanPassThrough;
        _openBacking = options.OpenBacking ?? device.OpenBacking;
        _backings = new BackingTable(state);
        _delivery = new Delivery(log, storage, _backings, underneath.RootDescriptor, _keeps, options.Counters);
        _cutter = new Cutter(_delivery, underneath.RootDescriptor, _report);
    }

    public override int Lookup(in FuseRequest request, ReadOnlySpan<byte> name, FuseReply reply)
    {
        if (IsOurs(request.NodeId, name))
            return -Errno.ENOENT;
        if (_nodes.Find(request.NodeId, out var parent) is null)
            return -Errno.ESTALE;
        var directory = _underneath.Enter(parent);
        if (directory < 0)
            return directory;
        var text = stackalloc byte[NodeSlot.NameMax + 1];
        Terminate(name, text);
        return Entry(directory, parent, text, name, reply, out _);
    }

    public override void Forget(ulong nodeId, ulong lookups) => _nodes.Forget(nodeId, lookups);

    public override int GetAttr(in FuseRequest request, in GetAttrIn args, FuseReply reply)
    {
        var node = _nodes.Find(request.NodeId, out var slot);
        if (node is null)
            return -Errno.ESTALE;
        var error = Attributes(slot, node, out var attr);
        return error < 0 ? error : reply.Attr(new AttrOut { AttrValid = ValidSeconds, Attr = attr });
    }

    public override int SetAttr(in FuseRequest request, in SetAttrIn args, FuseReply reply)
    {
        const SetAttrValid owner = SetAttrValid.Uid | SetAttrValid.Gid;
        const SetAttrValid time = SetAttrValid.ATime | SetAttrValid.MTime | SetAttrValid.ATimeNow | SetAttrValid.MTimeNow;

        var node = _nodes.Find(request.NodeId, out var slot);
        if (node is null)
            return -Errno.ESTALE;
        var fd = _underneath.Open(slot, Libc.O_PATH);
        if (fd < 0)
            return fd;
        var valid = args.Valid;
        var hasTimes = (valid & time) != SetAttrValid.None;
        var isLater = (valid & SetAttrValid.Size) != SetAttrValid.None || (hasTimes && IsAhead(node) && _keeps);
        var error = 0;
        // Without any field this is a chown(2) to nobody else, which takes the set-id bits all the same.
        if ((valid & owner) != SetAttrValid.None || (valid & ~SetAttrValid.CTime) == SetAttrValid.None)
        {
            var uid = (valid & SetAttrValid.Uid) != SetAttrValid.None ? args.Uid : uint.MaxValue;
            var gid = (valid & SetAttrValid.Gid) != SetAttrValid.None ? args.Gid : uint.MaxValue;
            error = Underneath.SetOwner(fd, uid, gid);
        }
        if (error == 0 && (valid & SetAttrValid.Mode) != SetAttrValid.None)
            error = Underneath.SetMode(fd, args.Mode & 0xfff);
        if (error == 0 && (valid & SetAttrValid.KillSuidGid) != SetAttrValid.None)
            error = DropPrivileges(fd, node);
        if (error == 0 && hasTimes && !isLater)
        {
            error = SetTimes(fd, args);
            if (error == 0)
                NoteModified(args, node);
        }
        _ = Libc.Close(fd);
        if (error < 0)
            return error;
        node->Changed = Libc.Now();
        if ((valid & SetAttrValid.Size) != SetAttrValid.None)
            return Truncate(request, args, slot, node, reply);
        if (isLater)
            return SetTimesLater(request, args, slot, node);
        error = Attributes(slot, node, out var attr);
        return error < 0 ? error : reply.Attr(new AttrOut { AttrValid = ValidSeconds, Attr = attr });
    }

    public override int StatFs(in FuseRequest request, FuseReply reply)
    {
        Libc.StatVfs vfs;
        if (Libc.FStatVfs(_underneath.RootDescriptor, &vfs) != 0)
            return -Libc.Error;
        return reply.Put(new StatFsOut
        {
            Blocks = vfs.Blocks,
            BlocksFree = vfs.BlocksFree,
            BlocksAvailable = vfs.BlocksAvailable,
            Files = vfs.Files,
            FilesFree = vfs.FilesFree,
            BlockSize = (uint)vfs.BlockSize,
            FragmentSize = (uint)vfs.FragmentSize,
            NameLength = NodeSlot.NameMax,
        });
    }

    public override bool Interrupt(ulong unique)
    {
        if (_blocked.Take(unique) is not { } write)
            return false;
        CountBlocked();
        _device.ReplyError(write.RawUnique, Errno.EINTR);
        return true;
    }

    /// <summary>Size and time in the slot are newer than those underneath.</summary>
    private bool IsAhead(NodeSlot* node) => _keeps ? node->LastSequence >= _keeper.Kept : node->LastSequence != 0;

    private int Attributes(uint slot, NodeSlot* node, out Attr attr)
    {
        // Before looking, since the keeper may catch up meanwhile; then both are the same.
        var isAhead = IsAhead(node);
        var handle = _handles.Of(slot)?[0];
        var error = handle is { Descriptor: >= 0 } ? Underneath.Stat(handle.Descriptor, out var file) : _underneath.Stat(slot, out file);
        attr = default;
        if (error < 0)
            return error;
        node->Mode = file.Mode;
        attr = Shown(file, node, isAhead);
        return 0;
    }

    private Attr Shown(in Libc.Statx file, NodeSlot* node, bool isAhead)
    {
        var attr = new Attr
        {
            Ino = file.Inode,
            Size = file.Size,
            Blocks = file.Blocks,
            ATime = file.Access.Seconds,
            ATimeNsec = file.Access.Nanoseconds,
            MTime = file.Modify.Seconds,
            MTimeNsec = file.Modify.Nanoseconds,
            CTime = file.Change.Seconds,
            CTimeNsec = file.Change.Nanoseconds,
            Mode = file.Mode,
            Nlink = LinksOf(file) is var links ? links - Math.Min(node->Hidden, links) : 0,
            Uid = file.Uid,
            Gid = file.Gid,
            // As the kernel's new_encode_dev packs it.
            Rdev = (file.RdevMinor & 0xff) | (file.RdevMajor << 8) | ((file.RdevMinor & ~0xffu) << 12),
            BlockSize = file.BlockSize,
        };
        if (isAhead && node->IsRegular)
        {
            attr.Size = (ulong)node->Size;
            attr.Blocks = Math.Max(attr.Blocks, (attr.Size + 511) / 512);
            (attr.MTime, attr.MTimeNsec) = Split(node->Modified);
        }
        if (node->IsRegular && (isAhead || file.Change.UnixNanoseconds <= node->Touched))
            (attr.CTime, attr.CTimeNsec) = Split(node->Changed);
        return attr;
    }

    private static (long Seconds, uint Nanoseconds) Split(long unixNanoseconds)
    {
        var seconds = Math.DivRem(unixNanoseconds, 1_000_000_000, out var rest);
        return rest < 0 ? (seconds - 1, (uint)(rest + 1_000_000_000)) : (seconds, (uint)rest);
    }

    // Looks at a name and answers with its entry, counting one lookup.
    private int Entry(int directory, uint parent, byte* text, ReadOnlySpan<byte> name, FuseReply reply, out uint slot)
    {
        slot = 0;
        var error = Underneath.Stat(directory, text, out var file);
        if (error < 0)
            return error;
        slot = _nodes.Remember(file, parent, name);
        if (slot == 0)
            return -Errno.ENOSPC;
        // It has another name that everybody may see, by which it can be reached as well.
        if (_nodes[slot]->Hidden != 0)
        {
            GiveName(slot, parent, name);
            if ((error = Underneath.Stat(directory, text, out file)) < 0)
                return error;
        }
        _nodes[slot]->Lookups++;
        return reply.Entry(EntryOf(slot, file));
    }

    private EntryOut EntryOf(uint slot, in Libc.Statx file)
    {
        var node = _nodes[slot];
        return new EntryOut
        {
            NodeId = _nodes.IdOf(slot),
            Generation = node->Generation,
            EntryValid = ValidSeconds,
            AttrValid = ValidSeconds,
            Attr = Shown(file, node, IsAhead(node)),
        };
    }

    private static int DropPrivileges(int fd, NodeSlot* node)
    {
        const uint setUser = 0x800;
        const uint setGroup = 0x400;
        const uint groupExecute = 8;

        var error = Underneath.Stat(fd, out var file);
        if (error < 0)
            return error;
        var dropped = setUser | ((file.Mode & groupExecute) != 0 ? setGroup : 0);
        node->Mode = file.Mode & ~dropped;
        return (file.Mode & dropped) == 0 ? 0 : Underneath.SetMode(fd, node->Mode & 0xfff);
    }

    private static void Times(in SetAttrIn args, Libc.TimeSpec* times)
    {
        times[0].Nanoseconds = times[1].Nanoseconds = Libc.UTIME_OMIT;
        // The kernel's own now may lag behind by a tick, and what was written before would seem newer.
        var now = Split(Libc.Now());
        if ((args.Valid & SetAttrValid.ATimeNow) != SetAttrValid.None)
            (times[0].Seconds, times[0].Nanoseconds) = now;
        else if ((args.Valid & SetAttrValid.ATime) != SetAttrValid.None)
            (times[0].Seconds, times[0].Nanoseconds) = (args.ATime, args.ATimeNsec);
        if ((args.Valid & SetAttrValid.MTimeNow) != SetAttrValid.None)
            (times[1].Seconds, times[1].Nanoseconds) = now;
        else if ((args.Valid & SetAttrValid.MTime) != SetAttrValid.None)
            (times[1].Seconds, times[1].Nanoseconds) = (args.MTime, args.MTimeNsec);
    }

    private static int SetTimes(int fd, in SetAttrIn args)
    {
        const SetAttrValid bothNow = SetAttrValid.ATimeNow | SetAttrValid.MTimeNow;

        var times = stackalloc Libc.TimeSpec[2];
        Times(args, times);
        var error = Underneath.SetTimes(fd, times);
        if (error != -Errno.EPERM || (args.Valid & bothNow) != bothNow)
            return error;
        // A time that is named is for the owner to set, and we may be none; now may be set by whoever may write.
        times[0].Nanoseconds = times[1].Nanoseconds = Libc.UTIME_NOW;
        return Underneath.SetTimes(fd, times);
    }

    private static void NoteModified(in SetAttrIn args, NodeSlot* node)
    {
        if ((args.Valid & SetAttrValid.MTimeNow) != SetAttrValid.None)
            node->Modified = Libc.Now();
        else if ((args.Valid & SetAttrValid.MTime) != SetAttrValid.None)
            node->Modified = (args.MTime * 1_000_000_000) + args.MTimeNsec;
    }

    // Only the top directory holds names of our own.
    private static bool IsOurs(ulong parent, ReadOnlySpan<byte> name) => parent == RootNodeId && HiddenName.Is(name);

    private static void Terminate(ReadOnlySpan<byte> name, byte* text)
    {
        name.CopyTo(new Span<byte>(text, NodeSlot.NameMax));
        text[name.Length] = 0;
    }

    private void ReplyAttr(ulong rawUnique, in Libc.Statx file, NodeSlot* node)
    {
        var reply = new AttrOut { AttrValid = ValidSeconds, Attr = Shown(file, node, IsAhead(node)) };
        _device.Reply(rawUnique, new ReadOnlySpan<byte>(&reply, Unsafe.SizeOf<AttrOut>()));
    }
}
