using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>This part: what programs wrote to the files underneath while nothing was mounted.</summary>
internal sealed unsafe partial class MountedDirectory
{
    // So long the mount's thread works for them between two requests.
    private static readonly long AtOnce = Stopwatch.Frequency / 500;

    private readonly Account? _account;
    private Account? _before;
    private UnmountedScan? _scan;
    private Suspect? _refused;
    private int _grown;
    private long _grownBytes;
    private int _archives;

    /// <summary>Looks for what was written while nothing was mounted, behind the mount, unless every file was looked at already.</summary>
    public void BeginScan()
    {
        if (_account is not { IsComplete: false })
            return;
        _scan = new UnmountedScan(_underneath.RootDescriptor, _before, _account, _follower!.Ring, _report);
        _scan.Start();
    }

    /// <summary>The mount has ended, and everything is underneath.</summary>
    public void EndAccount()
    {
        if (_account is not null && (!_keeps || _keeper.Kept > _appended))
            _account.End();
    }

    private void EndScan()
    {
        _scan?.Dispose();
        _scan = null;
        if (_refused is { } refused)
            _ = Libc.Close(refused.Descriptor);
        _refused = null;
    }

    private void TakeSuspects()
    {
        if (_scan is null)
            return;
        var end = Stopwatch.GetTimestamp() + AtOnce;
        do
        {
            if ((_refused ?? (_scan.TryTake(out var next) ? next : null)) is not { } suspect)
            {
                if (_scan.IsOver)
                    CompleteScan();
                return;
            }
            _refused = suspect;
            // Somebody opened it before we came to look, so it was looked at then; and what it grows by now may be our own doing.
            var isSettled = Underneath.Stat(suspect.Descriptor, out var file) < 0 || _account!.Find(file) is not null;
            // Tried again when something was delivered.
            if (!isSettled && Settle(suspect.Descriptor, suspect.Path) == -Errno.ENOSPC)
                return;
            _ = Libc.Close(suspect.Descriptor);
            _refused = null;
        }
        while (Stopwatch.GetTimestamp() < end);
        _follower!.Ring();
    }

    private void CompleteScan()
    {
        _counters.UnmountedFaultsCount += _scan!.Faults;
        EndScan();
        if (_grown > 0)
            _report(string.Create(CultureInfo.InvariantCulture, $"{_grown} files grew by {_grownBytes:N0} bytes while nothing was mounted; that is carried"));
        if (_archives > 0)
            _report($"{_archives} compressed files appeared while nothing was mounted; they are not carried as lines");
        _before?.Dispose();
        _before = null;
        // It waits for the disk.
        _keeper.Post(0, _ =>
        {
            try
            {
                _account!.Complete();
            }
            catch (IOException e)
            {
                _report($"the account of the files underneath cannot be put in place, and is made again by the next mount: {e.Message}");
            }
        });
    }

    // Whether a file may hold what was written past us; before anything is done to it through us that has to be in the log.
    private bool MustSettle(uint slot, int descriptor)
    {
        var node = _nodes[slot];
        if (_backings.Of(node) is { IsUnmounted: true, IsOrphan: true })
            return true;
        if (_account is null || !node->IsRegular || IsAhead(node) || (_handles.Of(slot)?.Exists(static handle => handle.Writable) ?? false))
            return false;
        var entry = _account.Find(node->Device, node->Inode, node->Birth);
        return entry is null ? _scan is not null : IsLonger(entry, Libc.LSeek(descriptor, 0, Libc.SEEK_END));
    }

    // The size is looked at first, and whether the keeper is about to change it last: it changes them the other way round.
    private static bool IsLonger(AccountEntry* entry, long size) =>
        size > Volatile.Read(ref entry->Length) && Volatile.Read(ref entry->Next) == AccountEntry.None;

    // 0, or why that cannot be now.
    private int SettleFirst(uint slot)
    {
        var fd = _underneath.Open(slot, 0);
        if (fd < 0)
            return 0;
        Span<byte> path = stackalloc byte[HandleSlot.PathMax];
        var length = _underneath.PathOf(slot, path);
        var error = length < 0 ? length : Settle(fd, path[..length]);
        // What was written past us the node does not know.
        if (error == 0 && !IsAhead(_nodes[slot]) && Underneath.Stat(fd, out var file) == 0)
            (_nodes[slot]->Size, _nodes[slot]->Modified) = ((long)file.Size, file.Modify.UnixNanoseconds);
        _ = Libc.Close(fd);
        return error;
    }

    private AccountEntry* AccountOf(OpenHandle handle)
    {
        var node = handle.Node;
        var entry = _account!.Find(node->Device, node->Inode, node->Birth);
        if (entry is null && Underneath.Stat(handle.Descriptor, out var file) == 0)
        {
            entry = _account.Take(file, handle.Source.Path, (long)file.Size);
            if (entry is not null && _keeps && handle.Readable)
                Account.Settle(entry, (long)file.Size, handle.Descriptor);
        }
        return entry;
    }

    // The same of a name that is about to go, and perhaps its file with it.
    private int SettleFirst(uint parent, int directory, byte* name, in Libc.Statx file)
    {
        if (_scan is null || !file.IsRegular || _account!.Find(file) is not null || !_scan.IsSuspect(file))
            return 0;
        var fd = Libc.OpenAt(directory, name, Libc.O_NOFOLLOW | Libc.O_CLOEXEC | Libc.O_NONBLOCK | Libc.O_NOCTTY, 0);
        if (fd < 0)
            return 0;
        var text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name);
        Span<byte> path = stackalloc byte[NamePathMax];
        var length = PathOf(parent, text, path);
        var error = length < 0 ? length : length > HandleSlot.PathMax ? 0 : Settle(fd, path[..length]);
        _ = Libc.Close(fd);
        return error;
    }

    // The descriptor is for reading. -ENOSPC = there is no room for it now.
    private int Settle(int descriptor, ReadOnlySpan<byte> found)
    {
        if (Underneath.Stat(descriptor, out var file) < 0)
            return 0;
        var size = (long)file.Size;
        var backing = _backings.Of(NodeTable.Device(file), file.Inode);
        // It is followed, and accounted for when that ends.
        if (backing is { Source: not null })
        {
            if (backing is { IsUnmounted: true, IsOrphan: true } && Underneath.IsWritten(backing.Descriptor) != true)
            {
                backing.IsOrphan = false;
                TryEndSession(backing);
            }
            return 0;
        }
        // What is known of it in this mount it grew by behind our back: by a descriptor from before.
        var account = _account!;
        var known = account.Find(file);
        var from = known is not null ? known->Length : 0;
        var isAnew = false;
        if (known is null)
        {
            if (_before is not null)
                known = (account = _before).Find(file);
            from = From(descriptor, file, known, out isAnew);
        }
        // What it grew by before, and is not delivered yet; unless it was written anew since.
        if (backing is not null && !isAnew)
            from = Math.Max(from, backing.State->Extended);
        if (from < size && backing is null && LinkUnmounted(descriptor, file, found, out backing) is var error and not 0)
        {
            if (error == -Errno.ENOSPC)
                return error;
            from = size;
        }
        if (from < size)
            return Carry(backing!, descriptor, file, from, known is null ? found : AccountEntry.PathOf(known), found, known is not null && known->IsMixed != 0 && !isAnew ? account.PiecesOf(known) : []);
        if (size > 0 && _account!.Take(file, found, size) is var entry and not null)
            Account.Settle(entry, size, _keeps ? descriptor : -1);
        return 0;
    }

    // From where on the file is to be carried.
    private long From(int descriptor, in Libc.Statx file, AccountEntry* known, out bool isAnew)
    {
        isAnew = false;
        var size = (long)file.Size;
        if (_scan is null || !_scan.IsSuspect(file))
            return size;
        if (known is not null)
        {
            // A kill came into the midst of a cut.
            var length = known->Next != AccountEntry.None && size < known->Length ? Math.Min(known->Next, known->Length) : known->Length;
            if (size >= length && Account.IsSame(known, descriptor))
                return length;
            isAnew = true;
        }
        // New, or emptied and written anew. What a rotation compressed was lines before, in a file of its own.
        if (!IsArchive(descriptor))
            return 0;
        _archives++;
        return size;
    }

    private static bool IsArchive(int descriptor)
    {
        const int length = 6;
        var start = stackalloc byte[length];
        return Underneath.Peek(descriptor, start, length, 0) == length && new ReadOnlySpan<byte>(start, length) is
            [0x1f, 0x8b, ..] or [0x28, 0xb5, 0x2f, 0xfd, ..] or [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0]
            or [(byte)'B', (byte)'Z', (byte)'h', ..] or [0x04, 0x22, 0x4d, 0x18, ..] or [(byte)'P', (byte)'K', 3, 4, ..] or [0x1f, 0x9d, ..];
    }

    private int Carry(Backing backing, int descriptor, in Libc.Statx file, long from, ReadOnlySpan<byte> path, ReadOnlySpan<byte> found, Queue<(long From, long To)> own)
    {
        var fd = Libc.Fcntl(descriptor, Libc.F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return -Errno.ENOSPC;
        var state = backing.State;
        if (!backing.IsCutting)
            BeginAt(backing, from);
        (state->Source, state->Uid, state->Pid, state->Time) = (0, file.Uid, 0, file.Modify.UnixNanoseconds);
        if (state->Delivered >= state->End)
            state->Synced = 0;
        state->PathLength = (ushort)path.Length;
        path.CopyTo(new Span<byte>(state->Path, HandleSlot.PathMax));
        (backing.Own, backing.Found) = (own, found.ToArray());
        Volatile.Write(ref state->Session, _state.Header->NextHandle++);
        Attend(backing, SourceOf(path), fd);
        backing.IsOrphan = Underneath.IsWritten(fd) == true;
        _grown++;
        _counters.UnmountedFilesCount++;
        var before = _counters.UnmountedBytesCount;
        if (backing.IsOrphan)
            Extend(backing);
        else
            TryEndSession(backing);
        _grownBytes += _counters.UnmountedBytesCount - before + backing.Waiting;
        if (backing is { Source: null, Members: <= 0 })
            Unregister(backing);
        return 0;
    }

    // 0, -ENOSPC when it is to be tried again, or why its growth cannot be carried.
    private int LinkUnmounted(int descriptor, in Libc.Statx file, ReadOnlySpan<byte> found, out Backing? backing)
    {
        backing = _backings.Take(_state.Header->NextHandle++, file);
        if (backing is null)
            return -Errno.ENOSPC;
        var path = stackalloc byte[Underneath.PathOfDescriptorMax];
        int error;
        fixed (byte* link = backing.Link)
            error = Libc.LinkAt(Libc.AT_FDCWD, Underneath.PathOfDescriptor(descriptor, path), _underneath.RootDescriptor, link, Libc.AT_SYMLINK_FOLLOW) == 0 ? 0 : -Libc.Error;
        if (error == 0)
            return 0;
        _backings.Free(backing);
        if (error is -Errno.ENOSPC or -Errno.EDQUOT)
            return -Errno.ENOSPC;
        // Its last name went just now, and what it held with it, as on any disk.
        if (error != -Errno.ENOENT && _counters.UnmountedFaultsCount++ == 0)
            _report($"{Encoding.UTF8.GetString(found)} grew while nothing was mounted, and that cannot be carried: no second name can be made for it ({Errno.Text(-error)})");
        return error;
    }

    // All it grew by is in the log.
    private void NoteAccounted(Backing backing)
    {
        if (_account is null || Underneath.Stat(backing.Descriptor, out var file) < 0)
            return;
        var path = backing.Found ?? BackingSlot.PathOf(backing.State);
        if (_account.Take(file, path, backing.State->Extended) is var entry and not null)
            Account.Settle(entry, backing.State->Extended, _keeps ? backing.Descriptor : -1);
    }

    // It has another length now, by us. What others added before that is still to be carried.
    private void NoteLength(int descriptor, long before)
    {
        if (_account is not null && Underneath.Stat(descriptor, out var file) == 0 && _account.Find(file) is var entry and not null
            && (before <= entry->Length || (long)file.Size < entry->Length))
            Account.Settle(entry, (long)file.Size, -1);
    }
}
