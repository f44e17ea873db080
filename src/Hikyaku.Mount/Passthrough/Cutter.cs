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

    private byte[] _buffer = [];

    /// <summary>Gives the file another length.</summary>
    /// <returns>0 or a positive error number; then nothing was cut.</returns>
    public int Resize(Backing backing, int file, long size)
    {
        var state = backing.State;
        if (size < state->Extended)
            return Reshape(backing, () => Libc.FTruncate(file, size) == 0 ? 0 : Libc.Error);
        // Zeros are not carried; and noted first, as after a kill in between the file is only shorter than it should be.
        var before = state->Extended;
        if (state->Session != 0)
            Volatile.Write(ref state->Extended, size);
        if (Libc.FTruncate(file, size) == 0)
            return 0;
        var error = Libc.Error;
        state->Extended = before;
        return error;
    }

    /// <summary>As fallocate(2).</summary>
    /// <inheritdoc cref="Resize"/>
    public int Allocate(Backing backing, int file, int mode, long offset, long length)
    {
        var state = backing.State;
        if ((mode & ~Libc.FALLOC_FL_KEEP_SIZE) != 0)
            return Reshape(backing, () => Libc.FAllocate(file, mode, offset, length) == 0 ? 0 : Libc.Error);
        var before = state->Extended;
        if (mode == 0 && state->Session != 0)
            Volatile.Write(ref state->Extended, Math.Max(before, offset + length));
        if (Libc.FAllocate(file, mode, offset, length) == 0)
            return 0;
        var error = Libc.Error;
        state->Extended = before;
        return error;
    }

    // Whatever becomes of the file, what is not delivered stays where readers find it.
    private int Reshape(Backing backing, Func<int> change)
    {
        var state = backing.State;
        try
        {
            delivery.Update();
        }
        catch (LogException e)
        {
            // More is saved than must be.
            report(e.Message);
        }
        if (state->Delivered < state->Extended && Save(backing) is var error and not 0)
            return error;
        lock (delivery.Gate)
        {
            error = change();
            // Also when it could not be changed: what was saved is the generation before.
            if (SizeOf(backing) is var size and >= 0)
                Delivery.BeginGeneration(state, size);
        }
        return error;
    }

    private long SizeOf(Backing backing)
    {
        fixed (byte* name = backing.Link)
            return Underneath.Stat(directory, name, out var file) == 0 ? (long)file.Size : -1;
    }

    private int Save(Backing backing)
    {
        var state = backing.State;
        var (from, to) = (state->Delivered, state->Extended);
        int error, target;
        var source = delivery.Open(backing, Libc.O_NOATIME);
        if (source < 0)
            return -source;
        fixed (byte* unfinished = HiddenName.OfUnfinished)
        fixed (byte* saved = backing.SavedName(state->Generation))
        {
            target = Libc.OpenAt(directory, unfinished, Libc.O_RDWR | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_CLOEXEC | Libc.O_NOFOLLOW, 0x180 /* 0600 */);
            error = target < 0 ? Libc.Error : CopyData(source, target, from, to);
            if (error == 0 && state->Synced != 0 && Libc.FDataSync(target) != 0)
                error = Libc.Error;
            if (error == 0)
            {
                lock (delivery.Gate)
                {
                    if (Libc.RenameAt2(directory, unfinished, directory, saved, 0) != 0)
                        error = Libc.Error;
                    else
                        backing.Saved.Add((state->Generation, state->Last, Underneath.Stat(target, out var file) == 0 ? (long)file.Blocks * 512 : 0));
                }
            }
            if (error == 0 && state->Synced != 0)
                error = Underneath.SyncDirectory(directory);
            if (error != 0)
                _ = Libc.UnlinkAt(directory, unfinished, 0);
        }
        _ = Libc.Close(source);
        if (target >= 0)
            _ = Libc.Close(target);
        return error;
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
