using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>This part: what an earlier process, or an earlier mount, left of files that are written past us.</summary>
internal sealed unsafe partial class MountedDirectory
{
    // Finds again what was known. What the state does not know of, because it was lost, is kept until all that is in the log now is delivered.
    private bool ClaimBackings(List<OpenHandle> handles)
    {
        var names = HiddenName.List(_underneath.RootDescriptor);
        var links = FindLinks(names);
        foreach (var slot in _backings.Unclaimed())
        {
            var number = _state.Backing(slot)->Number;
            if (links.Remove(number, out var file))
                _backings.Claim(slot, NodeTable.Device(file), file.Inode);
            else if (handles.Find(handle => handle.State->Use == HandleUse.Open && handle.State->Backing == number) is { } member)
                _backings.Claim(slot, member.Node->Device, member.Node->Inode);
            else
                _backings.Free(slot);
        }
        var isAdopted = false;
        // Numbers begin as microseconds of the clock. Those far ahead of it are not ours, and would leave none for us.
        var numbersMax = (ulong)(Libc.Now() / 1000) + (24ul * 3600 * 1_000_000);
        foreach (var (number, file) in links)
        {
            if (number > numbersMax || _backings.Take(number, file) is not { } backing)
                continue;
            isAdopted = true;
            _state.Header->NextHandle = Math.Max(_state.Header->NextHandle, number + 1);
            (backing.State->Extended, backing.State->Punched, backing.State->Last) = ((long)file.Size, (long)file.Size, _log.NextSequence - 1);
        }
        _delivery.FindSaved(names, _log.NextSequence - 1);
        return isAdopted;
    }

    // The log may be ahead of the slots: by one extent after a kill, by more after a loss of power.
    private void NoteExtent(in ExtentRecord extent, ulong sequence)
    {
        if (_backings.Find(extent.File) is not { } backing)
            return;
        var state = backing.State;
        if (extent.Generation > state->Generation)
            (state->Generation, state->Delivered, state->End, state->Extended) = (extent.Generation, (long)extent.From, (long)extent.To, (long)extent.To);
        else if (extent.Generation == state->Generation)
            (state->End, state->Extended) = (Math.Max(state->End, (long)extent.To), Math.Max(state->Extended, (long)extent.To));
        else if (extent.Generation == state->RestGeneration && state->RestFrom < state->RestTo)
            state->RestFrom = Math.Max(state->RestFrom, (long)extent.To);
        state->Last = Math.Max(state->Last, sequence);
    }

    private void NoteClosed(ulong session)
    {
        foreach (var (_, backing) in _backings.All)
        {
            if (backing.State->Session == session)
                backing.State->Session = 0;
        }
    }

    private void SettleBackings(List<OpenHandle> handles, bool goesOn)
    {
        if (_passesThrough is not null && !_canPass)
            NotPassed("the kernel does not offer it (Linux 6.9 or newer does)");
        if (_passesThrough is not null || !_backings.IsEmpty || _account is not null)
            _follower = new Follower(LookAt);
        foreach (var handle in handles)
        {
            if (goesOn && handle.State->Use == HandleUse.Open && handle.State->Backing != 0 && _backings.Find(handle.State->Backing) is { } backing)
                Count(backing, handle);
        }
        foreach (var (_, backing) in _backings.All)
            Settle(backing, goesOn);
    }

    private void Settle(Backing backing, bool goesOn)
    {
        var state = backing.State;
        var fd = _delivery.Open(backing, 0);
        if (state->Session == 0 || fd < 0)
            (state->Orphan, state->RestFrom, state->RestTo) = (0, 0, 0);
        if (fd >= 0 && Underneath.Stat(fd, out var file) == 0)
            FinishCut(backing, (long)file.Size);
        if (!goesOn)
            state->KernelId = 0;
        if (state->Session != 0 && fd >= 0)
        {
            // Programs of a mount that is gone can still write to files they got past it, and notice nothing.
            if (!goesOn)
                backing.IsOrphan = backing.IsUnmounted ? Underneath.IsWritten(fd) == true : IsWritten(fd);
            if (backing.IsUnmounted && Underneath.Stat(fd, out file) == 0 && _before is not null && _before.Find(file) is var known and not null && known->IsMixed != 0)
                backing.Own = _before.PiecesOf(known);
            Attend(backing, SourceOf(BackingSlot.PathOf(state), state->Source), fd);
            return;
        }
        if (fd >= 0)
            _ = Libc.Close(fd);
        state->Session = 0;
        if (backing.Members == 0)
            Unregister(backing);
    }

    // A kill came into the midst of a cut. The kernel sends it again, and it is done again.
    private void FinishCut(Backing backing, long size)
    {
        var state = backing.State;
        foreach (var (generation, _, _) in backing.Saved)
        {
            if (generation < state->Generation)
                continue;
            if (state->Session != 0 && _delivery.SizeOfSaved(backing, generation) is var saved && saved > state->Extended)
                (state->RestGeneration, state->RestFrom, state->RestTo, state->Extended) = (generation, state->Extended, saved, saved);
            (state->Delivered, state->End) = (state->Extended, state->Extended);
            Volatile.Write(ref state->Generation, generation + 1);
        }
        if (state->RestFrom < state->RestTo)
            _delivery.NeedSaved(backing, state->RestGeneration, ulong.MaxValue);
        if (size < state->End)
        {
            // By a loss of power, or by somebody who was quicker than us.
            if (_cutter.Shorten(backing, size) is var error and not 0)
            {
                backing.Shortened = size;
                ReportUnsaved(error);
            }
        }
        else if (size < state->Extended)
        {
            state->Extended = size;
        }
    }

    private Dictionary<ulong, Libc.Statx> FindLinks(List<byte[]> names)
    {
        var links = new Dictionary<ulong, Libc.Statx>();
        foreach (var text in names)
        {
            fixed (byte* name = text)
            {
                if (text.AsSpan().SequenceEqual(HiddenName.OfUnfinished))
                    _ = Libc.UnlinkAt(_underneath.RootDescriptor, name, 0);
                else if (HiddenName.IsBacking(text.AsSpan(..^1), out var number, out var generation) && generation is null
                    && Underneath.Stat(_underneath.RootDescriptor, name, out var file) == 0 && file.IsRegular)
                    links[number] = file;
            }
        }
        return links;
    }
}
