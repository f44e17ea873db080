namespace Hikyaku.Log;

/// <summary>
/// Reads a log that another process, or another thread, is writing; never changes it. One thread at a time.
/// To be told of new records, poll or be rung by the writer's owner.
/// </summary>
public sealed class LogReader : IDisposable
{
    private const int BehindBytes = 2 << 20;

    private readonly ILogStorage _storage;
    private readonly bool _beginsAnywhere;
    private readonly HashSet<ulong> _passedOver = [];
    private SegmentMemory? _segment;
    private SegmentScan _scan;
    private ulong _first;
    private bool _isSealed;
    private uint _idlePolls;
    private long _lastOffset;
    private long _left;

    /// <summary>Starts at sequence from; 0 or 1: at the oldest there is. A log that does not exist yet is waited for.</summary>
    public LogReader(ILogStorage storage, ulong from)
    {
        _storage = storage;
        _beginsAnywhere = from <= 1;
        Position = Math.Max(from, 1);
    }

    /// <summary>
    /// The sequence of the next record. After a <see cref="TryRead"/> that returned false it has passed the records that only
    /// the log itself needs, and is the position to save in the cursor.
    /// </summary>
    public ulong Position { get; private set; }

    /// <summary>The first sequence of the segment read last; 0 before the first.</summary>
    public ulong SegmentStart => _first;

    /// <summary>The log's identity; empty until a segment was found.</summary>
    public Guid Identity { get; private set; }

    /// <summary>Records that were retired or dropped before they were read.</summary>
    public long Missed { get; private set; }

    /// <summary>Damaged places met, unreadable segments included.</summary>
    public long DamagedRegions { get; private set; }

    /// <summary>Records lost in damaged places.</summary>
    public long DamagedRecords { get; private set; }

    /// <summary>Receives one sentence for people about each damaged place.</summary>
    public Action<string>? Report { get; set; }

    /// <summary>
    /// The next record, false if there is none yet. Throws <see cref="LogException"/> if the disk fails or a segment is of another
    /// version; reading may be tried again.
    /// </summary>
    public bool TryRead(out LogRecord record)
    {
        while (_segment is not null || TryOpenNext())
        {
            _lastOffset = _scan.Offset;
            switch (_scan.Next(out record))
            {
                case ScanStep.Record:
                    _idlePolls = 0;
                    if (record.Kind is RecordKind.Seal or RecordKind.Void) PassOwn(record);
                    else if (record.Sequence >= Position)
                    {
                        Position = record.Sequence + 1;
                        LeaveBehind();
                        return true;
                    }
                    break;
                case ScanStep.Unwritten:
                    // The usual answer of an open segment. Only now and then: did the writer leave it without a seal?
                    if (!_isSealed && (++_idlePolls & 1023) != 0 || !TryPassEnd(isDamage: false)) return false;
                    break;
                default:
                    if (!TryPassEnd(isDamage: true)) return false;
                    break;
            }
        }
        record = default;
        return false;
    }

    /// <summary>Makes the record that was just read the next one again. Only behind a <see cref="TryRead"/> that returned true, once.</summary>
    public void StepBack() => _scan.GoBack(_lastOffset, --Position);

    /// <summary>The first sequences of the segments there are, in order. Each segment states again what a reader of it alone must know.</summary>
    public static List<ulong> SegmentStarts(ILogStorage storage)
    {
        var starts = new List<ulong>();
        foreach (string name in storage.List())
        {
            if (SegmentName.TryParse(name, out ulong first, out _)) starts.Add(first);
        }
        starts.Sort();
        return starts;
    }

    /// <summary>Unmaps.</summary>
    public void Dispose()
    {
        _segment?.Dispose();
        _segment = null;
    }

    // All but the record just read, which is looked at now.
    private void LeaveBehind()
    {
        if (_lastOffset - _left < BehindBytes) return;
        _segment!.Leave(_left, _lastOffset);
        _left = _lastOffset;
    }

    private void PassOwn(LogRecord record)
    {
        if (record.Kind == RecordKind.Void) CountDamage(record.Sequence, _scan.Sequence);
        Position = Math.Max(Position, _scan.Sequence);
        if (record.Kind == RecordKind.Seal) Dispose();
    }

    // At a place without a valid record: false if it is the end so far, true if the scan or the segment moved on.
    private bool TryPassEnd(bool isDamage)
    {
        if (!_isSealed && !HasLaterSegment())
        {
            // The writer goes on behind damage in its open segment; without damage there is nothing behind the tail.
            return isDamage && TrySkipDamage();
        }
        if (!_isSealed)
        {
            // The seal may have come between the look at the tail and the look at the directory: look at the tail again.
            _isSealed = true;
            return true;
        }
        if (TrySkipDamage()) return true;
        if (isDamage)
        {
            DamagedRegions++;
            Report?.Invoke($"The end of segment {SegmentName.Sealed(_first)} of {_storage.Location} is damaged from byte {_scan.Offset} on.");
        }
        Dispose();
        return true;
    }

    private bool TrySkipDamage()
    {
        ulong from = _scan.Sequence;
        long offset = _scan.Offset;
        if (!_scan.TrySkipDamage()) return false;
        if (CountDamage(from, _scan.Sequence))
            Report?.Invoke($"Segment {_first} of {_storage.Location} is damaged from byte {offset} to {_scan.Offset}.");
        Position = Math.Max(Position, _scan.Sequence);
        return true;
    }

    // What was read before the damage came, or by an earlier reader, is not lost.
    private bool CountDamage(ulong from, ulong to)
    {
        if (to <= Position) return false;
        DamagedRegions++;
        DamagedRecords += (long)(to - Math.Max(from, Position));
        return true;
    }

    private bool HasLaterSegment()
    {
        foreach (ulong first in Later())
        {
            using var memory = OpenOurs(first, out _);
            if (memory is not null) return true;
            if (!_passedOver.Contains(first)) return false;
        }
        return false;
    }

    private bool TryOpenNext()
    {
        // Behind a seal the name of the next segment is known. A segment without a valid record leaves the position at its own.
        if (_first != 0 && Position > _first && TryOpen(Position)) return true;
        // A file may be renamed or deleted between the list and the open: then the list has changed as well.
        for (int attempt = 0; attempt < 100; attempt++)
        {
            bool hasVanished = false;
            foreach (ulong first in Later())
            {
                if (TryOpen(first)) return true;
                if (hasVanished = !_passedOver.Contains(first)) break;
            }
            if (!hasVanished) return false;
        }
        return false;
    }

    // The segments behind the last one read: the one that holds the position, or else the first one behind it, comes first. Those
    // passed over are among them: the writer may have set one aside meanwhile, and opened its own under the same number.
    private List<ulong> Later()
    {
        var later = SegmentStarts(_storage);
        later.RemoveAll(first => first <= _first);
        int before = later.FindLastIndex(first => first <= Position) + 1;
        later.Reverse(0, before);
        return later;
    }

    private bool TryOpen(ulong first)
    {
        var memory = OpenOurs(first, out bool isSealed);
        if (memory is null) return false;
        if (first > Position)
        {
            if (_first != 0 || !_beginsAnywhere) Missed += (long)(first - Position);
            Position = first;
        }
        (_segment, _scan, _first, _isSealed, _idlePolls, _left) = (memory, new SegmentScan(memory, first), first, isSealed, 0, 0);
        return true;
    }

    private SegmentMemory? OpenOurs(ulong first, out bool isSealed)
    {
        // In this order: a segment goes from open to sealed and never back.
        bool isThere = false;
        foreach (bool seal in (ReadOnlySpan<bool>)[false, true])
        {
            isSealed = seal;
            var memory = _storage.Open(seal ? SegmentName.Sealed(first) : SegmentName.Open(first), writable: false);
            if (memory is null) continue;
            if (IsOurs(memory, first)) return memory;
            memory.Dispose();
            isThere = true;
        }
        isSealed = false;
        if (isThere && _passedOver.Add(first))
        {
            DamagedRegions++;
            Report?.Invoke($"Segment {first} of {_storage.Location} has no valid header of this log and is passed over.");
        }
        return null;
    }

    private bool IsOurs(SegmentMemory memory, ulong first)
    {
        if (!SegmentHeader.TryRead(memory, out var header)) return false;
        if (header.Version != SegmentHeader.KnownVersion)
        {
            memory.Dispose();
            throw new LogException(
                LogFault.OtherVersion,
                $"Segment {first} of {_storage.Location} is of version {header.Version}; this program reads version {SegmentHeader.KnownVersion}.");
        }
        if (header.First != first || Identity != Guid.Empty && Identity != header.Identity) return false;
        Identity = header.Identity;
        return true;
    }
}
