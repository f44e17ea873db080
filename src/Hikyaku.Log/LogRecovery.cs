namespace Hikyaku.Log;

/// <summary>Brings the files of a log into the one state an append can start from, whatever was left behind.</summary>
internal sealed unsafe class LogRecovery(ILogStorage storage, LogOptions options, Retention retention)
{
    private readonly List<SegmentFile> _files = [];
    private SegmentMemory? _open;

    public IReadOnlyList<SegmentFile> Files => _files;

    /// <summary>The segment to go on with, or null: a new one has to be opened at <see cref="Next"/>.</summary>
    public SegmentMemory? Open => _open;

    public Guid Identity { get; private set; }
    public long Offset { get; private set; }
    public ulong Next { get; private set; } = 1;

    public void Run()
    {
        try
        {
            ReadHeaders();
            for (int i = 0; i < _files.Count; i++)
            {
                bool isLast = i == _files.Count - 1;
                if (SegmentName.TryParse(_files[i].Name, out _, out bool isSealed) && !isSealed) RecoverOpen(i, isLast);
                else if (isLast) Next = Math.Max(Next, EndOf(_files[i]));
            }
            // Two segments of one number would be one too many; a segment without a valid record leaves its number unused.
            if (_open is null && _files.Count > 0) Next = Math.Max(Next, _files[^1].First + 1);
            // Power loss can take records that a reader already delivered; their numbers must not come again.
            ulong highest = Math.Max(retention.Highest(), Passed());
            if (highest <= Next) return;
            Report($"The log {storage.Location} ends at {Next - 1}, but a reader is at {highest}: it goes on from there.");
            if (_open is not null) SealOpen(_files[^1], _open);
            _open?.Dispose();
            _open = null;
            Next = highest;
        }
        catch
        {
            _open?.Dispose();
            throw;
        }
    }

    // Readers pass over extents below it.
    private ulong Passed()
    {
        try
        {
            return PassedMark.Read(storage.Location, options.Disk);
        }
        catch (IOException e)
        {
            throw new LogException(LogFault.Storage, e.Message, e);
        }
    }

    private void ReadHeaders()
    {
        var found = new List<(SegmentFile File, Guid Identity)>();
        var damaged = new List<(SegmentFile File, string What)>();
        foreach (string name in storage.List())
        {
            if (name == SegmentName.Spare) storage.Delete(name);
            if (!SegmentName.TryParse(name, out ulong first, out _)) continue;
            using var memory = storage.Open(name, writable: false);
            if (memory is null) continue;
            var file = new SegmentFile(first, name, memory.Length);
            if (!SegmentHeader.TryRead(memory, out var header)) damaged.Add((file, "has no valid header"));
            else if (header.Version != SegmentHeader.KnownVersion) throw OtherVersion(name, header.Version);
            else if (header.First != first) damaged.Add((file, $"says it begins at {header.First}, not as its name"));
            else found.Add((file, header.Identity));
        }
        // Most segments say whose log this is; a stranger copied into the directory does not.
        Identity = found.GroupBy(f => f.Identity).OrderByDescending(g => g.Count()).ThenByDescending(g => g.Max(f => f.File.First))
            .Select(g => g.Key).FirstOrDefault();
        foreach (var (file, identity) in found.OrderBy(f => f.File.First).ThenByDescending(f => f.File.Name, StringComparer.Ordinal))
        {
            if (identity != Identity) SetAside(file, $"belongs to another log ({identity})");
            else if (_files.Count > 0 && _files[^1].First == file.First)
            {
                // A reader may have its records from here.
                Next = Math.Max(Next, EndOf(file));
                SetAside(file, "is there as sealed too");
            }
            else _files.Add(file);
        }
        foreach (var (file, what) in damaged)
        {
            Next = Math.Max(Next, EndOf(file) + 1);
            SetAside(file, what);
        }
    }

    private LogException OtherVersion(string name, uint version) => new(
        LogFault.OtherVersion,
        $"The segment {Path.Combine(storage.Location, name)} is of version {version}; this program writes version {SegmentHeader.KnownVersion}. "
        + "Let the program that wrote it deliver what is left, or move the directory away to begin a new log.");

    private void SetAside(SegmentFile file, string what)
    {
        storage.Rename(file.Name, file.Name + ".damaged");
        Report($"The segment {Path.Combine(storage.Location, file.Name)} {what}; it was set aside as {file.Name}.damaged.");
    }

    // The number behind the last valid record; what is too large for a segment has none.
    private ulong EndOf(SegmentFile file)
    {
        using var memory = storage.Open(file.Name, writable: false);
        if (memory is null || memory.Length > int.MaxValue) return file.First;
        var scan = new SegmentScan(memory, file.First);
        do while (scan.Next(out _) == ScanStep.Record) { }
        while (scan.TrySkipDamage());
        return scan.Sequence;
    }

    private void RecoverOpen(int index, bool isLast)
    {
        var file = _files[index];
        var memory = storage.Open(file.Name, writable: true)
            ?? throw new LogException(LogFault.Storage, $"The segment {Path.Combine(storage.Location, file.Name)} vanished during recovery.");
        bool keep = false;
        try
        {
            var (offset, next, isSealed) = Repair(file, memory);
            if (isLast)
            {
                Next = Math.Max(Next, next);
                // A number was skipped because a later segment was set aside: only a new segment can skip numbers.
                keep = !isSealed && next == Next && HasRoomForSeal(memory, offset);
                if (keep)
                {
                    (_open, Offset) = (memory, offset);
                    return;
                }
            }
            if (!isSealed && HasRoomForSeal(memory, offset) && (isLast || next < _files[index + 1].First))
            {
                StoreSeal(memory, offset, next);
                if (isLast) Next = Math.Max(Next, next + 1);
            }
            Rename(file);
        }
        finally
        {
            if (!keep) memory.Dispose();
        }
    }

    private static bool HasRoomForSeal(SegmentMemory memory, long offset) => offset + RecordFormat.SealBytes <= memory.Length;

    private void SealOpen(SegmentFile file, SegmentMemory memory)
    {
        StoreSeal(memory, Offset, Next);
        Next++;
        Rename(file);
    }

    private void Rename(SegmentFile file)
    {
        storage.Rename(file.Name, SegmentName.Sealed(file.First));
        file.Name = SegmentName.Sealed(file.First);
    }

    private void StoreSeal(SegmentMemory memory, long offset, ulong sequence)
    {
        long now = UnixTime.Now(options.TimeProvider);
        RecordFormat.Store(memory.Pointer + offset, sequence, RecordKind.Seal, new ReadOnlySpan<byte>(&now, 8), default);
    }

    // Finds the tail, covers damage in front of it and clears what is behind it.
    private (long Offset, ulong Next, bool IsSealed) Repair(SegmentFile file, SegmentMemory memory)
    {
        var scan = new SegmentScan(memory, file.First);
        bool isSealed = false;
        while (true)
        {
            long offset = scan.Offset;
            ulong sequence = scan.Sequence;
            var step = scan.Next(out var record);
            if (step == ScanStep.Record)
            {
                isSealed = record.Kind == RecordKind.Seal;
                continue;
            }
            if (scan.TrySkipDamage())
            {
                isSealed = false;
                Cover(file, memory, offset, sequence, scan.Offset, scan.Sequence);
                continue;
            }
            ClearBehind(file, memory, offset);
            return (offset, sequence, isSealed);
        }
    }

    private void Cover(SegmentFile file, SegmentMemory memory, long from, ulong sequence, long to, ulong next)
    {
        string? copy = CopyAside(file, memory, from, to);
        Report($"The segment {Path.Combine(storage.Location, file.Name)} is damaged at byte {from} ({to - from} bytes, {next - sequence} records lost); "
            + (copy is null ? $"all but the first {RecordFormat.LeastBytes} bytes were left where they are." : $"the bytes were copied to {copy}."));
        byte* at = memory.Pointer + from;
        // Zero first: until the Void is complete, a reader must see nothing here rather than half of it.
        Volatile.Write(ref *(ulong*)at, 0);
        // A page of zeros stops readers as a tail does, so it is covered in any case; what could not be copied stays behind the head.
        if (copy is not null) new Span<byte>(at + 8, (int)(to - from - 8)).Clear();
        *(ulong*)(at + 8) = sequence;
        *(ulong*)(at + 16) = (byte)RecordKind.Void;
        *(ulong*)(at + RecordFormat.HeaderBytes) = next;
        RecordFormat.Publish(at, (int)(to - from) - RecordFormat.HeaderBytes);
    }

    private void ClearBehind(SegmentFile file, SegmentMemory memory, long offset)
    {
        // The file may be cut off in the padding of the last record.
        if (offset >= memory.Length) return;
        var rest = new Span<byte>(memory.Pointer + offset, checked((int)(memory.Length - offset)));
        int end = rest.LastIndexOfAnyExcept((byte)0) + 1;
        if (end == 0) return;
        // The body of an append that was cut off by a kill stands behind eight zero bytes and was never acknowledged.
        if (rest[..Math.Min(8, rest.Length)].ContainsAnyExcept((byte)0))
        {
            string copy = CopyAside(file, memory, offset, offset + end) ?? "nowhere, since that failed";
            Report($"The segment {Path.Combine(storage.Location, file.Name)} is torn at byte {offset}; {end} bytes were copied to {copy}.");
        }
        rest[..end].Clear();
    }

    private string? CopyAside(SegmentFile file, SegmentMemory memory, long from, long to)
    {
        string name = $"{file.Name}.damaged-{from}";
        try
        {
            using var copy = storage.Create(name, to - from);
            Buffer.MemoryCopy(memory.Pointer + from, copy.Pointer, copy.Length, to - from);
            return name;
        }
        catch (LogException e)
        {
            Report(e.Message);
            return null;
        }
    }

    private void Report(string text) => options.Report?.Invoke(text);
}
