using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>
/// Knows how much of the files that are written past us every reader of the log has passed: reads the log itself, up to the lowest
/// cursor. From any thread.
/// </summary>
internal sealed unsafe class Delivery : IDisposable
{
    private const long PunchBytes = 1 << 20;
    private const long BlockBytes = 4096;

    private readonly LogWriter _log;
    private readonly ILogStorage _storage;
    private readonly BackingTable _backings;
    private readonly int _directory;
    private readonly MountCounters _counters;
    private readonly bool _keeps;
    private readonly Lock _reading = new();
    private LogReader? _reader;
    private ulong _passed;
    private ulong _published;

    /// <param name="log">The mount's log.</param>
    /// <param name="storage">Where it can be read.</param>
    /// <param name="backings">The files.</param>
    /// <param name="directory">The directory of their hidden names.</param>
    /// <param name="keeps">False: what is delivered is punched out of them.</param>
    /// <param name="counters">Where that is counted.</param>
    public Delivery(LogWriter log, ILogStorage storage, BackingTable backings, int directory, bool keeps, MountCounters counters) =>
        (_log, _storage, _backings, _directory, _keeps, _counters) = (log, storage, backings, directory, keeps, counters);

    /// <summary>Held while a file is cut, or what is kept of it by generation is changed.</summary>
    public Lock Gate { get; } = new();

    /// <summary>Every reader is done with what lies below.</summary>
    public ulong Passed => Volatile.Read(ref _passed);

    /// <summary>Nobody has it open, and nothing of it is left to deliver.</summary>
    public bool IsOver(Backing backing) =>
        backing is { Members: 0, IsCutting: false } && backing.State->Session == 0 && backing.State->KernelId == 0 && backing.State->Last < Passed;

    /// <summary>Reads on, up to the lowest cursor.</summary>
    /// <exception cref="LogException">The cursors or the log cannot be read, or it cannot be noted how far they are.</exception>
    public void Update()
    {
        // Reading may take long; nobody who only wants to cut a file waits for that.
        lock (_reading)
        {
            // What is gone from the log is needed by nobody, or was dropped.
            var lowest = Math.Min(Math.Max(_log.LowestCursor(), _log.FirstSequence), _log.NextSequence);
            if (lowest <= _passed)
                return;
            if (!AnyBehind(_passed))
            {
                // Nothing can be in between, so the log need not be read.
                Leave();
            }
            else
            {
                _reader ??= new LogReader(_storage, _passed);
                while (_reader is not null && _reader.Position < lowest && _reader.TryRead(out var record))
                {
                    if (record.Sequence >= lowest)
                        Leave();
                    else if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                        NoteDelivered(extent);
                }
            }
            if (!_backings.IsEmpty)
                Publish(lowest);
            Volatile.Write(ref _passed, lowest);
        }
    }

    /// <summary>Lets go what is delivered; true if there are files that are over.</summary>
    public bool Reclaim()
    {
        var isAnyOver = false;
        var saved = 0L;
        foreach (var (_, backing) in _backings.All)
        {
            lock (Gate)
            {
                for (var i = backing.Saved.Count - 1; i >= 0; i--)
                {
                    if (backing.Saved[i].Last >= _passed)
                        saved += backing.Saved[i].Bytes;
                    else
                        RemoveSaved(backing, i);
                }
                if (!_keeps)
                    Punch(backing);
            }
            isAnyOver |= IsOver(backing);
        }
        Volatile.Write(ref _counters.SavedCount, saved);
        return isAnyOver;
    }

    /// <summary>Takes over what was saved by a process that is no more.</summary>
    /// <param name="names">The hidden names there are.</param>
    /// <param name="last">Nothing behind this sequence can point into it.</param>
    public void FindSaved(List<byte[]> names, ulong last)
    {
        foreach (var text in names)
        {
            fixed (byte* name = text)
            {
                if (HiddenName.IsBacking(text.AsSpan(..^1), out var number, out var generation) && generation is { } cut
                    && _backings.Find(number) is { } backing && Underneath.Stat(_directory, name, out var file) == 0 && file.IsRegular)
                    backing.Saved.Add((cut, last, (long)file.Blocks * 512));
            }
        }
    }

    /// <summary>Where the saved file of this generation ends, 0 if it cannot be told.</summary>
    public long SizeOfSaved(Backing backing, ulong generation)
    {
        fixed (byte* name = backing.SavedName(generation))
            return Underneath.Stat(_directory, name, out var file) == 0 ? (long)file.Size : 0;
    }

    /// <summary>A saved file of this generation is needed until this sequence is delivered.</summary>
    public void NeedSaved(Backing backing, ulong generation, ulong last)
    {
        lock (Gate)
        {
            for (var i = 0; i < backing.Saved.Count; i++)
            {
                if (backing.Saved[i].Generation == generation)
                    backing.Saved[i] = backing.Saved[i] with { Last = last };
            }
        }
    }

    /// <summary>Opens the file by its second name; a negative error number if that cannot be.</summary>
    public int Open(Backing backing, int flags)
    {
        fixed (byte* link = backing.Link)
        {
            // Who has access underneath may have put anything there.
            var fd = Libc.OpenAt(_directory, link, flags | Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_NOCTTY, 0);
            if (fd < 0)
                return -Libc.Error;
            if (Underneath.Stat(fd, out var file) == 0 && file.IsRegular)
                return fd;
            _ = Libc.Close(fd);
            return -Errno.ESTALE;
        }
    }

    /// <summary>Nothing of it is needed any more.</summary>
    public void RemoveNames(Backing backing)
    {
        lock (Gate)
        {
            while (backing.Saved.Count > 0)
                RemoveSaved(backing, backing.Saved.Count - 1);
        }
        fixed (byte* link = backing.Link)
            _ = Libc.UnlinkAt(_directory, link, 0);
    }

    private void RemoveSaved(Backing backing, int index)
    {
        fixed (byte* name = backing.SavedName(backing.Saved[index].Generation))
            _ = Libc.UnlinkAt(_directory, name, 0);
        backing.Saved.RemoveAt(index);
    }

    /// <summary>
    /// The file is as long as that now, and what was in it before belongs to the generation before. Under the gate. Unless all extents of
    /// that generation are delivered, there must be a saved file of it.
    /// </summary>
    public static void BeginGeneration(BackingSlot* state, long size)
    {
        // In this order a kill in between leaves what a successor can tell: a file that is shorter than it should be.
        state->Delivered = size;
        state->Punched = Math.Min(state->Punched, size);
        Volatile.Write(ref state->Generation, state->Generation + 1);
        state->End = size;
        Volatile.Write(ref state->Extended, size);
    }

    public void Dispose() => Leave();

    // A reader that comes later, or again from further back, must not take what is in the files by then for what was.
    private void Publish(ulong passed)
    {
        try
        {
            _published = Math.Max(_published, PassedMark.Read(_storage.Location));
            if (passed > _published)
                PassedMark.Write(_storage.Location, _published = passed);
        }
        catch (IOException e)
        {
            throw new LogException(LogFault.Storage, $"Cannot note what is delivered: {e.Message}", e);
        }
    }

    private void NoteDelivered(in ExtentRecord extent)
    {
        if (_backings.Find(extent.File) is not { } backing)
            return;
        lock (Gate)
        {
            if (extent.Generation == backing.State->Generation)
                backing.State->Delivered = Math.Max(backing.State->Delivered, (long)extent.To);
        }
    }

    private bool AnyBehind(ulong sequence)
    {
        foreach (var (_, backing) in _backings.All)
        {
            if (backing.State->Last >= sequence)
                return true;
        }
        return false;
    }

    private void Leave()
    {
        _reader?.Dispose();
        _reader = null;
    }

    private void Punch(Backing backing)
    {
        var state = backing.State;
        var end = state->Delivered & ~(BlockBytes - 1);
        if (backing.IsCutting || end - state->Punched < (IsOver(backing) ? 1 : PunchBytes))
            return;
        var fd = Open(backing, Libc.O_WRONLY);
        if (fd < 0)
            return;
        if (Libc.FAllocate(fd, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, state->Punched, end - state->Punched) == 0)
            Interlocked.Add(ref _counters.PunchedCount, end - state->Punched);
        state->Punched = end;
        _ = Libc.Close(fd);
    }
}
