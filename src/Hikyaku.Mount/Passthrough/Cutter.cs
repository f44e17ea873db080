using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>
/// Cuts files that are written past us, after it has saved what is not delivered of them. The kernel keeps writers out meanwhile. On
/// the keeper's thread; the slots of the files are its alone for as long as they are marked as being cut.
/// </summary>
internal sealed unsafe class Cutter(Delivery delivery, int directory, Action<string> report)
{
    private const int CopyBytes = 256 * 1024;
    private const int RestTriesMax = 100;

    private byte[] _buffer = [];

    /// <summary>Gives the file another length.</summary>
    /// <returns>0 or a positive error number; then nothing was cut.</returns>
    public int Resize(Backing backing, int file, long size)
    {
        var state = backing.State;
        if (size < state->Extended)
            return Reshape(backing, file, size, () => Libc.FTruncate(file, size) == 0 ? 0 : Libc.Error);
        // Zeros are not carried; and noted first, as after a kill in between the file is only shorter than it should be.
        var before = state->Extended;
        Volatile.Write(ref state->Extended, size);
        if (Libc.FTruncate(file, size) == 0)
            return 0;
        var error = Libc.Error;
        Volatile.Write(ref state->Extended, before);
        return error;
    }

    /// <summary>As fallocate(2).</summary>
    /// <inheritdoc cref="Resize"/>
    public int Allocate(Backing backing, int file, int mode, long offset, long length)
    {
        var state = backing.State;
        var before = state->Extended;
        var after = (mode & Libc.FALLOC_FL_KEEP_SIZE) != 0 ? before : Math.Max(before, offset + length);
        if ((mode & ~Libc.FALLOC_FL_KEEP_SIZE) != 0)
            return Reshape(backing, file, after, () => Libc.FAllocate(file, mode, offset, length) == 0 ? 0 : Libc.Error);
        var isFollowed = state->Session != 0;
        Volatile.Write(ref state->Extended, after);
        var error = Libc.FAllocate(file, mode, offset, length) == 0 ? 0 : Libc.Error;
        // A session that began meanwhile left it to us how long the file is; its writes have waited.
        if (!isFollowed)
            Volatile.Write(ref state->Extended, SizeOf(file, after));
        else if (error != 0)
            Volatile.Write(ref state->Extended, before);
        return error;
    }

    /// <summary>Somebody has cut it underneath: saves what is left of what is not delivered, so that readers miss what is gone, and nothing else.</summary>
    /// <inheritdoc cref="Resize"/>
    public int Shorten(Backing backing, long size)
    {
        var state = backing.State;
        var (error, source, target, isSaved) = (0, -1, -1, false);
        if (state->Delivered < state->End)
            error = Save(backing, size, out source, out target, out isSaved);
        lock (delivery.Gate)
        {
            if (error == 0 || isSaved)
                BeginGeneration(backing, state->Extended, size);
        }
        Close(source, target);
        return isSaved ? 0 : error;
    }

    // Whatever becomes of the file, what is not delivered stays where readers find it.
    private int Reshape(Backing backing, int file, long size, Func<int> change)
    {
        var state = backing.State;
        var isFollowed = state->Session != 0;
        var (error, source, target, isSaved) = (0, -1, -1, false);
        try
        {
            delivery.Update();
        }
        catch (LogException e)
        {
            // More is saved than must be.
            report(e.Message);
        }
        if (state->Delivered < state->End || (isFollowed && SizeOf(file, 0) > state->Extended))
            error = Save(backing, long.MaxValue, out source, out target, out isSaved);
        if (error != 0 && !isSaved)
        {
            Close(source, target);
            return error;
        }
        lock (delivery.Gate)
        {
            var noted = state->Extended;
            // Programs that outlive their mount are held back by nobody.
            for (var tries = 0; error == 0 && isSaved && isFollowed && tries < RestTriesMax && SizeOf(file, 0) is var grown && grown > noted; tries++)
            {
                error = CopyData(source, target, noted, grown);
                if (error == 0)
                    noted = grown;
            }
            if (error == 0)
                error = change();
            // Also when it could not be changed: what was saved is the generation before.
            BeginGeneration(backing, noted, !isFollowed ? SizeOf(file, noted) : error == 0 ? size : noted);
        }
        Close(source, target);
        return error;
    }

    // Under the gate.
    private void BeginGeneration(Backing backing, long noted, long size)
    {
        var state = backing.State;
        if (state->Session != 0 && noted > state->Extended)
            (state->RestGeneration, state->RestFrom, state->RestTo) = (state->Generation, state->Extended, noted);
        else
            delivery.NeedSaved(backing, state->Generation, state->Last);
        Delivery.BeginGeneration(state, size);
        backing.Shortened = -1;
    }

    private static long SizeOf(int file, long otherwise) => Underneath.Stat(file, out var now) == 0 ? (long)now.Size : otherwise;

    private static void Close(int source, int target)
    {
        if (source >= 0)
            _ = Libc.Close(source);
        if (target >= 0)
            _ = Libc.Close(target);
    }

    // Both descriptors are the caller's to close. Once it is saved a generation must begin, also after an error.
    private int Save(Backing backing, long size, out int source, out int target, out bool isSaved)
    {
        var state = backing.State;
        var (from, to) = (state->Delivered, Math.Min(state->End, size));
        (target, isSaved) = (-1, false);
        source = delivery.Open(backing, Libc.O_NOATIME);
        if (source < 0)
            return -source;
        fixed (byte* unfinished = HiddenName.OfUnfinished)
        fixed (byte* saved = backing.SavedName(state->Generation))
        {
            // Who has access underneath may have put anything there.
            _ = Libc.UnlinkAt(directory, unfinished, 0);
            target = Libc.OpenAt(directory, unfinished, Libc.O_RDWR | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC | Libc.O_NOFOLLOW, 0x180 /* 0600 */);
            var error = target < 0 ? Libc.Error : CopyData(source, target, from, to);
            if (error == 0 && state->Synced != 0 && Libc.FDataSync(target) != 0)
                error = Libc.Error;
            if (error == 0)
            {
                lock (delivery.Gate)
                {
                    if (Libc.RenameAt2(directory, unfinished, directory, saved, 0) != 0)
                        error = Libc.Error;
                    else
                        // How long it is needed is known when it is complete.
                        backing.Saved.Add((state->Generation, ulong.MaxValue, Underneath.Stat(target, out var file) == 0 ? (long)file.Blocks * 512 : 0));
                }
            }
            isSaved = error == 0;
            if (isSaved && state->Synced != 0)
                error = Underneath.SyncDirectory(directory);
            if (!isSaved)
                _ = Libc.UnlinkAt(directory, unfinished, 0);
            return error;
        }
    }

    // Holes stay holes: they may be larger than any disk.
    private int CopyData(int source, int target, long from, long to)
    {
        while (from < to)
        {
            var data = Libc.LSeek(source, from, Libc.SEEK_DATA);
            // Behind the last data; where the file system knows of no holes, all is data.
            if (data < 0 && Libc.Error == Errno.ENXIO)
                return 0;
            data = Math.Max(data, from);
            var hole = Libc.LSeek(source, data, Libc.SEEK_HOLE);
            var end = hole > data ? Math.Min(hole, to) : to;
            if (data < end && Copy(source, target, data, end) is var error and not 0)
                return error;
            from = end;
        }
        return 0;
    }

    private int Copy(int source, int target, long from, long to)
    {
        var (at, written) = (from, from);
        while (at < to)
        {
            var copied = Libc.CopyFileRange(source, &at, target, &written, (nuint)(to - at), 0);
            if (copied > 0)
                continue;
            // Somebody else has cut it: there is no more.
            if (copied == 0)
                return 0;
            if (Libc.Error is Errno.ENOSPC or Errno.EDQUOT or Errno.EIO or Errno.EFBIG)
                return Libc.Error;
            if (Libc.Error == Errno.EINTR)
                continue;
            return CopyByHand(source, target, at, to);
        }
        return 0;
    }

    private int CopyByHand(int source, int target, long at, long to)
    {
        if (_buffer.Length == 0)
            _buffer = new byte[CopyBytes];
        fixed (byte* buffer = _buffer)
        {
            while (at < to)
            {
                var read = Libc.PRead(source, buffer, (nuint)Math.Min(CopyBytes, to - at), at);
                if (read == 0)
                    return 0;
                var written = read < 0 ? read : Libc.PWrite(target, buffer, (nuint)read, at);
                if (written < 0 && Libc.Error != Errno.EINTR)
                    return Libc.Error;
                at += Math.Max(written, 0);
            }
        }
        return 0;
    }
}
