using System.Runtime.CompilerServices;

namespace Hikyaku.Log;

/// <summary>
/// The one writer of a log. <see cref="TryAppend"/> is called by one thread at a time; everything else may be called by any
/// thread meanwhile.
/// </summary>
public sealed unsafe class LogWriter : IDisposable
{
    private const int LeastSegmentBytes = 64 << 10;

    // Data from here on is stored with a system call.
    private const int LargeBytes = 32 << 10;

    // So far ahead memory is prepared, and so much stays resident behind.
    private const int AheadBytes = 256 << 10;
    private const int BehindBytes = 2 << 20;

    private readonly ILogStorage _storage;
    private readonly LogOptions _options;
    private readonly Retention _retention;
    private readonly IDisposable _hold;
    private readonly long _segmentBytes;

    // Guards the list of files, the change of the open segment and who unmaps it; never held over a system call that waits for the disk.
    private readonly Lock _gate = new();
    private readonly Lock _spareGate = new();
    private readonly Lock _commitGate = new();
    private readonly List<SegmentFile> _files = [];
    private readonly DropTally _dropped = new();

    private SegmentMemory _open = null!;
    private byte* _start;
    private long _offset;
    private long _end; // where records must end
    private long _limit; // up to here the memory is prepared
    private long _left; // below here it is left
    private ulong _next;
    private ulong _committed;
    private long _bytes;
    private ulong _firstSequence;
    private ulong _segmentStart;

    private SegmentMemory? _spare;
    private bool _isAnnounced;
    private bool _isAnnouncing;
    private long _restatedBytes;
    private bool _isFull;
    private bool _isDirectoryDirty = true;
    private SegmentMemory? _committing;
    private bool _isDisposed;

    private LogWriter(ILogStorage storage, LogOptions options, IDisposable hold)
    {
        _storage = storage;
        _options = options;
        _hold = hold;
        _retention = new Retention(options);
        QuotaBytes = options.QuotaBytes <= 0 ? long.MaxValue : Math.Max(options.QuotaBytes, 2 * LeastSegmentBytes);
        // A quarter each, so that room comes back in steps and not only when half of the quota has been delivered.
        _segmentBytes = Math.Max(Math.Min(options.SegmentBytes, QuotaBytes / 4), LeastSegmentBytes) & ~4095L;
    }

    /// <summary>Names the log in the world; random, made with its first segment.</summary>
    public Guid Identity { get; private set; }

    /// <summary>The sequence of the next record; all below it can be read.</summary>
    public ulong NextSequence => Volatile.Read(ref _next);

    /// <summary>The first sequence of the oldest segment on disk.</summary>
    public ulong FirstSequence => Volatile.Read(ref _firstSequence);

    /// <summary>The first sequence of the open segment.</summary>
    public ulong SegmentStart => Volatile.Read(ref _segmentStart);

    /// <summary>Every record below this sequence is on the disk.</summary>
    public ulong CommittedSequence => Volatile.Read(ref _committed);

    /// <summary>Bytes of the segment files on disk, the one prepared for later included.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>The limit of <see cref="Bytes"/>; <see cref="long.MaxValue"/> = none.</summary>
    public long QuotaBytes { get; }

    /// <summary>
    /// Called by the first append of this writer to a segment, before its record is stored; may append, to restate what a reader
    /// of this segment alone must know. Called once for a recovered segment too.
    /// </summary>
    public Action<LogWriter>? SegmentOpened { get; set; }

    /// <summary>Recovers the log, making its directory if missing. Throws <see cref="LogException"/>.</summary>
    public static LogWriter Open(ILogStorage storage, LogOptions options)
    {
        var writer = new LogWriter(storage, options, storage.Lock());
        try
        {
            writer.Recover();
            writer.MarkBoot();
            return writer;
        }
        catch
        {
            writer.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Appends a record whose body is head followed by data (1 byte to 128 MiB). False: the quota or the disk is full; it is tried
    /// anew by the next call. Throws <see cref="LogException"/> when the disk fails otherwise; nothing was appended then.
    /// </summary>
    public bool TryAppend(RecordKind kind, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data, out ulong sequence)
    {
        long length = (long)head.Length + data.Length;
        long size = RecordFormat.Size(length);
        long offset = _offset;
        if (size > _limit - offset || length == 0 || data.Length >= LargeBytes || kind is RecordKind.Seal or RecordKind.Void)
            return TryAppendSlowly(kind, head, data, out sequence);
        sequence = _next;
        RecordFormat.Store(_start + offset, sequence, kind, head, data);
        _offset = offset + size;
        Volatile.Write(ref _next, sequence + 1);
        return true;
    }

    /// <summary>
    /// Makes the next segment ahead, once the open one is half full, so that no append has to wait for its allocation. To be called
    /// now and then by a thread of the owner.
    /// </summary>
    public void Prepare()
    {
        lock (_spareGate)
        {
            if (_spare is not null || Volatile.Read(ref _offset) < _open.Length / 2 || Bytes + _segmentBytes > QuotaBytes) return;
            try
            {
                KeepSpare(_storage.Create(SegmentName.Spare, _segmentBytes));
            }
            catch (LogException e) when (e.Fault == LogFault.DiskFull)
            {
                // The append that needs the segment will meet the same, and makes room or fails.
            }
        }
    }

    /// <summary>
    /// Returns when everything appended before the call is on the disk. Throws <see cref="LogException"/>; a later call tries again.
    /// </summary>
    public void Commit()
    {
        lock (_commitGate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            SegmentMemory open;
            SegmentFile file;
            ulong next;
            long offset;
            bool isDirectoryDirty;
            List<SegmentFile>? sealedFiles = null;
            lock (_gate)
            {
                open = _committing = _open;
                file = _files[^1];
                next = Volatile.Read(ref _next);
                offset = Volatile.Read(ref _offset);
                (isDirectoryDirty, _isDirectoryDirty) = (_isDirectoryDirty, false);
                for (int i = 0; i < _files.Count - 1; i++)
                    if (!_files[i].IsCommitted) (sealedFiles ??= []).Add(_files[i]);
            }
            try
            {
                foreach (var sealedFile in sealedFiles ?? []) CommitSealed(sealedFile);
                if (file.MustRewrite) open.Rewrite(0, offset);
                if (next > _committed) open.Sync(0, offset);
                if (isDirectoryDirty) _storage.SyncDirectory();
                Volatile.Write(ref _committed, next);
                file.MustRewrite = false;
            }
            catch (LogException)
            {
                // The kernel forgets what it could not write, and a sync that follows would find nothing left to do.
                file.MustRewrite = true;
                foreach (var sealedFile in sealedFiles ?? []) sealedFile.MustRewrite = !sealedFile.IsCommitted;
                lock (_gate) _isDirectoryDirty = true;
                throw;
            }
            finally
            {
                lock (_gate)
                {
                    _committing = null;
                    if (open != _open) open.Dispose();
                }
            }
        }
    }

    /// <summary>Deletes the segments that every reader has passed. Called by an append that finds the log full, too.</summary>
    public void Retire() => TryRetire();

    /// <summary>
    /// Every reader is done with what lies below this sequence: the lowest position of all cursors; 0 while one that is expected is
    /// missing, <see cref="ulong.MaxValue"/> when no reader is expected. Throws <see cref="LogException"/>.
    /// </summary>
    public ulong LowestCursor() => _retention.LowestCursor();

    /// <summary>
    /// What <see cref="WhenFull.DropOldest"/> has deleted before it was read, per source since the last call; received chunks count
    /// their lines under source 0. A reader that had the file open may still have read some of it.
    /// </summary>
    public IReadOnlyList<(ulong Source, long Records, long Bytes)> TakeDropped() => _dropped.Take();

    /// <summary>Unmaps and gives the log free for another writer; commits nothing. No other call may be running.</summary>
    public void Dispose()
    {
        lock (_commitGate)
        {
            if (_isDisposed) return;
            _isDisposed = true;
        }
        if (_spare is not null)
        {
            try
            {
                _storage.Delete(SegmentName.Spare);
            }
            catch (LogException)
            {
                // The next writer deletes it.
            }
            _spare.Dispose();
            _spare = null;
        }
        _limit = _end = 0;
        _open?.Dispose();
        _hold.Dispose();
    }

    private void MarkBoot()
    {
        try
        {
            BootMark.Write(_storage, _options.Disk.Boot, _next);
        }
        catch (LogException e) when (e.Fault == LogFault.DiskFull)
        {
            // Only a loss of power before there is room again would need it.
            _options.Report?.Invoke(e.Message);
        }
    }

    private void Recover()
    {
        var recovery = new LogRecovery(_storage, _options, _retention);
        recovery.Run();
        Identity = recovery.Identity == Guid.Empty ? Guid.NewGuid() : recovery.Identity;
        _files.AddRange(recovery.Files);
        foreach (var file in _files) _bytes += file.Bytes;
        _next = recovery.Next;
        if (recovery.Open is not null)
        {
            _open = recovery.Open;
            // Whether a sync failed in an earlier life is not known.
            _files[^1].MustRewrite = true;
            _segmentStart = _files[^1].First;
        }
        else
        {
            // The open segment is always there, whatever the quota: readers would otherwise have nothing to wait at.
            var fresh = _storage.Create(SegmentName.Spare, _segmentBytes);
            KeepSpare(fresh);
            NameOpen(fresh, _next);
            Enlist(fresh, _next);
            _open = fresh;
            _spare = null;
        }
        _start = _open.Pointer;
        _offset = _left = recovery.Open is null ? SegmentHeader.Bytes : recovery.Offset;
        _firstSequence = _committed = _files[0].First;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryAppendSlowly(RecordKind kind, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data, out ulong sequence)
    {
        long length = (long)head.Length + data.Length;
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (kind is RecordKind.Seal or RecordKind.Void) throw new ArgumentOutOfRangeException(nameof(kind), "Only the log itself writes Seal and Void.");
        ArgumentOutOfRangeException.ThrowIfZero(length, nameof(data));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, RecordFormat.MaxBodyBytes, nameof(data));
        long size = RecordFormat.Size(length);
        if (!_isAnnounced) Announce();
        for (int attempt = 0; size > _end - _offset; attempt++)
        {
            if (!TryRotate(size))
            {
                sequence = 0;
                return false;
            }
            // What is restated may leave too little room in its turn; the last attempt belongs to the record.
            if (!_isAnnouncing && attempt < 2) Announce();
        }
        sequence = _next;
        if (data.Length >= LargeBytes)
        {
            RecordFormat.StoreLarge(_open, _offset, sequence, kind, head, data);
            _limit = Math.Max(_limit, _offset + size);
        }
        else
        {
            PrepareFor(size);
            RecordFormat.Store(_start + _offset, sequence, kind, head, data);
        }
        _offset += size;
        Volatile.Write(ref _next, sequence + 1);
        if (_offset - _left >= BehindBytes)
        {
            _open.Leave(_left, _offset);
            _left = _offset;
        }
        return true;
    }

    private void PrepareFor(long size)
    {
        if (size <= _limit - _offset) return;
        long to = Math.Min((_offset + size + AheadBytes) & -4096L, _end);
        _open.Prepare(Math.Max(_limit, _offset), to);
        _limit = to;
    }

    private void Announce()
    {
        _isAnnounced = _isAnnouncing = true;
        _end = _open.Length - RecordFormat.SealBytes;
        long offset = _offset;
        ulong start = _segmentStart;
        try
        {
            SegmentOpened?.Invoke(this);
        }
        finally
        {
            _isAnnouncing = false;
            _restatedBytes = start == _segmentStart ? _offset - offset : _restatedBytes + _open.Length;
        }
    }

    private bool TryRotate(long size)
    {
        lock (_spareGate)
        {
            // Room for as much restating as last time and some more, but never so much that it becomes the reason for being full.
            long restated = Math.Min(2 * _restatedBytes, Math.Min(QuotaBytes / 4, 256 << 20));
            long bytes = Math.Max(_segmentBytes, (SegmentHeader.Bytes + RecordFormat.SealBytes + size + restated + 4095) & ~4095L);
            var fresh = _spare;
            if (fresh is null || fresh.Length < bytes)
            {
                DropSpare();
                fresh = MakeRoom(bytes);
                if (_isFull != fresh is null) ReportFull(fresh is null);
                if (fresh is null) return false;
                KeepSpare(fresh);
            }
            ulong seal = _next;
            // The new segment gets its name before the old one its seal: who reads the seal finds the next file.
            NameOpen(fresh, seal + 1);
            _spare = null;
            long now = UnixTime.Now(_options.TimeProvider);
            RecordFormat.Store(_start + _offset, seal, RecordKind.Seal, new ReadOnlySpan<byte>(&now, 8), default);
            lock (_gate)
            {
                var left = _open;
                Enlist(fresh, seal + 1);
                _open = fresh;
                _start = fresh.Pointer;
                _offset = SegmentHeader.Bytes;
                _end = fresh.Length - RecordFormat.SealBytes;
                _limit = _left = SegmentHeader.Bytes;
                Volatile.Write(ref _next, seal + 1);
                // A commit on its way unmaps it when it is done.
                if (left != _committing) left.Dispose();
                RenameSealed();
            }
            return true;
        }
    }

    // Throws before anything has changed but the name of the file.
    private void NameOpen(SegmentMemory fresh, ulong first)
    {
        SegmentHeader.Write(fresh, Identity, first, UnixTime.Now(_options.TimeProvider));
        _storage.Rename(SegmentName.Spare, SegmentName.Open(first));
    }

    // Together with the change of the open segment: a commit in between would take the one before for sealed.
    private void Enlist(SegmentMemory fresh, ulong first)
    {
        _files.Add(new SegmentFile(first, SegmentName.Open(first), fresh.Length));
        Volatile.Write(ref _segmentStart, first);
        _isDirectoryDirty = true;
    }

    private void RenameSealed()
    {
        // More than one only after a rename failed.
        for (int i = _files.Count - 2; i >= 0 && _files[i].Name == SegmentName.Open(_files[i].First); i--)
        {
            try
            {
                _storage.Rename(_files[i].Name, SegmentName.Sealed(_files[i].First));
                _files[i].Name = SegmentName.Sealed(_files[i].First);
            }
            catch (LogException e)
            {
                // Readers follow the seal and not the name; the next rotation or recovery tries again.
                _options.Report?.Invoke(e.Message);
            }
        }
    }

    private void KeepSpare(SegmentMemory fresh)
    {
        _spare = fresh;
        Interlocked.Add(ref _bytes, fresh.Length);
    }

    private void DropSpare()
    {
        if (_spare is null) return;
        _storage.Delete(SegmentName.Spare);
        Interlocked.Add(ref _bytes, -_spare.Length);
        _spare.Dispose();
        _spare = null;
    }

    private SegmentMemory? MakeRoom(long bytes)
    {
        // An open segment that everybody has read goes as soon as there is another.
        long passed = _retention.Lowest() >= _next ? _open.Length : 0;
        // Even with everything else gone it would not fit beside the open segment.
        if (bytes > QuotaBytes - _open.Length + passed) return null;
        while (true)
        {
            if (Bytes - passed + bytes <= QuotaBytes)
            {
                try
                {
                    return _storage.Create(SegmentName.Spare, bytes);
                }
                catch (LogException e) when (e.Fault == LogFault.DiskFull)
                {
                    // Not even the quota can be had: the same as a reached quota.
                }
            }
            if (!TryRetire() && !(_options.WhenFull == WhenFull.DropOldest && TryDropOldest())) return null;
        }
    }

    private bool TryRetire()
    {
        ulong lowest = _retention.Lowest();
        bool any = false;
        while (TryTakeOldest(lowest) is { } file)
        {
            if (!TryDelete(file)) break;
            any = true;
        }
        return any;
    }

    private bool TryDropOldest()
    {
        ulong lowest = _retention.LowestCursor();
        if (TryTakeOldest(_retention.OwnerFloor()) is not { } file) return false;
        using var memory = OpenToCount(file);
        if (!TryDelete(file)) return false;
        if (memory is not null) _dropped.Add(memory, file.First, lowest);
        return true;
    }

    private SegmentMemory? OpenToCount(SegmentFile file)
    {
        try
        {
            return _storage.Open(file.Name, writable: false);
        }
        catch (LogException e)
        {
            // Room is what is asked for; the count is a courtesy.
            _options.Report?.Invoke(e.Message);
            return null;
        }
    }

    // Off the list first, so that two threads never delete the same one.
    private SegmentFile? TryTakeOldest(ulong below)
    {
        lock (_gate)
        {
            if (_files.Count < 2 || _files[1].First > below) return null;
            var file = _files[0];
            _files.RemoveAt(0);
            Volatile.Write(ref _firstSequence, _files[0].First);
            return file;
        }
    }

    private bool TryDelete(SegmentFile file)
    {
        try
        {
            _storage.Delete(file.Name);
            Interlocked.Add(ref _bytes, -file.Bytes);
            return true;
        }
        catch (LogException e)
        {
            _options.Report?.Invoke(e.Message);
            lock (_gate)
            {
                _files.Insert(_files.FindIndex(f => f.First > file.First), file);
                Volatile.Write(ref _firstSequence, _files[0].First);
            }
            return false;
        }
    }

    private void CommitSealed(SegmentFile file)
    {
        // The old name after the new one would miss a rename in between.
        using var memory = _storage.Open(SegmentName.Open(file.First), writable: file.MustRewrite) ?? _storage.Open(SegmentName.Sealed(file.First), writable: file.MustRewrite);
        if (file.MustRewrite) memory?.Rewrite(0, memory.Length);
        memory?.Sync(0, memory.Length);
        file.IsCommitted = true;
    }

    private void ReportFull(bool isFull)
    {
        _isFull = isFull;
        _options.Report?.Invoke(isFull
            ? $"The log {_storage.Location} is full ({Bytes} bytes; quota {(QuotaBytes == long.MaxValue ? "none" : QuotaBytes)}): it takes nothing more until its readers advance or the disk has room."
            : $"The log {_storage.Location} has room again.");
    }
}
