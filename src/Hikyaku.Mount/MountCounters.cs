using System.Collections.Concurrent;
using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>What a mount has done since its process started. Written by the mount's threads, readable at any time by any other.</summary>
public sealed class MountCounters
{
    /// <summary>How many sources are counted one by one; those that come later are counted together.</summary>
    public const int SourcesMax = 10_000;

    internal long WritesCount;
    internal long BytesCount;
    internal long OpensCount;
    internal long RefusedCount;
    internal long BlockedCount;
    internal long RecognisedCount;
    internal long UnkeptCount;

    internal long PassedOpensCount;
    internal long PassedBytesCount;
    internal long ExtentsCount;
    internal long WaitingCount;
    internal long SavedCount;
    internal long PunchedCount;
    internal long ShrunkCount;

    internal long UnmountedFilesCount;
    internal long UnmountedBytesCount;
    internal long UnmountedFaultsCount;

    private readonly ConcurrentDictionary<string, SourceCounters> _sources = new(StringComparer.Ordinal);
    private readonly SourceCounters _others = new("(others)");

    /// <summary>Writes appended to the log.</summary>
    public long Writes => Volatile.Read(ref WritesCount);

    /// <summary>Bytes of these writes.</summary>
    public long Bytes => Volatile.Read(ref BytesCount);

    /// <summary>Files opened.</summary>
    public long Opens => Volatile.Read(ref OpensCount);

    /// <summary>Writes answered with an error because the log or the disk was full.</summary>
    public long Refused => Volatile.Read(ref RefusedCount);

    /// <summary>Writes that wait for room in the log at this moment.</summary>
    public long BlockedNow => Volatile.Read(ref BlockedCount);

    /// <summary>Writes sent again by the kernel after a kill, found in the log and answered without a second append.</summary>
    public long Recognised => Volatile.Read(ref RecognisedCount);

    /// <summary>Writes that are in the log, but whose bytes could not be put into the file underneath.</summary>
    public long Unkept => Volatile.Read(ref UnkeptCount);

    /// <summary>Files that are written past us and open at this moment.</summary>
    public long PassedOpens => Volatile.Read(ref PassedOpensCount);

    /// <summary>Bytes by which such files grew, as far as the log knows; also among <see cref="Bytes"/>.</summary>
    public long PassedBytes => Volatile.Read(ref PassedBytesCount);

    /// <summary>Extent records appended to the log.</summary>
    public long Extents => Volatile.Read(ref ExtentsCount);

    /// <summary>Bytes such files have grown by that are not in the log yet because it is full.</summary>
    public long WaitingBytes => Volatile.Read(ref WaitingCount);

    /// <summary>Bytes that were copied before a file was cut, because they were not delivered.</summary>
    public long SavedBytes => Volatile.Read(ref SavedCount);

    /// <summary>Bytes given back to the disk once they were delivered.</summary>
    public long PunchedBytes => Volatile.Read(ref PunchedCount);

    /// <summary>How often such a file was shorter than the log knew it, though it was not cut through the mount.</summary>
    public long Shrunk => Volatile.Read(ref ShrunkCount);

    /// <summary>Files that grew while nothing was mounted.</summary>
    public long UnmountedFiles => Volatile.Read(ref UnmountedFilesCount);

    /// <summary>Bytes they grew by, as far as they are in the log; also among <see cref="Bytes"/>.</summary>
    public long UnmountedBytes => Volatile.Read(ref UnmountedBytesCount);

    /// <summary>Files and directories underneath whose growth cannot be carried.</summary>
    public long UnmountedFaults => Volatile.Read(ref UnmountedFaultsCount);

    /// <summary>Why files that should be are not written past us; null = they are.</summary>
    public string? NotPassed { get; internal set; }

    /// <summary>Bytes of the log on disk.</summary>
    public long LogBytes => Log?.Bytes ?? 0;

    /// <summary>The log's quota in bytes, 0 = none.</summary>
    public long QuotaBytes => Log?.QuotaBytes ?? 0;

    /// <summary>The sequence of the next record.</summary>
    public ulong NextSequence => Log?.NextSequence ?? 0;

    /// <summary>Everything up to this sequence is on the disk.</summary>
    public ulong CommittedSequence => Log?.CommittedSequence ?? 0;

    /// <summary>The first sequence whose content is not known to be in the files underneath.</summary>
    public ulong Kept { get; internal set; }

    /// <summary>When a write is answered.</summary>
    public CommitLevel CommitLevel { get; internal set; }

    /// <summary>Per path as opened; bounded by <see cref="SourcesMax"/>.</summary>
    public IEnumerable<SourceCounters> Sources => _sources.Values.Concat(_others.Bytes + _others.LostRecords + _others.Refused > 0 ? [_others] : []);

    internal LogWriter? Log { get; set; }

    internal SourceCounters Of(ReadOnlySpan<byte> path)
    {
        var text = Encoding.UTF8.GetString(path);
        if (_sources.TryGetValue(text, out var known))
            return known;
        return _sources.Count >= SourcesMax ? _others : _sources.GetOrAdd(text, static path => new SourceCounters(path));
    }

    internal SourceCounters Others => _others;
}
