using System.Text.Json.Serialization;
using Hikyaku.Mount;
using Hikyaku.Transfer;

namespace Hikyaku.Status;

/// <summary>What one process of an instance says of itself, in STATE/status/PROCESS.json.</summary>
internal sealed record ProcessStatus
{
    public int Process { get; init; }

    /// <summary>When this last changed; a process that has nothing to do writes nothing.</summary>
    public DateTimeOffset Written { get; init; }

    public MountStatus? Mount { get; init; }

    public TransferStatus? Transfer { get; init; }
}

/// <summary>A mount since its process started: what came in. What goes out is told by the routes.</summary>
internal sealed record MountStatus
{
    public required string Name { get; init; }
    public required string At { get; init; }
    public required long Writes { get; init; }
    public required long Bytes { get; init; }
    public required long Opens { get; init; }
    public required long Refused { get; init; }
    public required long BlockedNow { get; init; }
    public required long Recognised { get; init; }
    public required long Unkept { get; init; }
    public PassthroughStatus? Passthrough { get; init; }
    public UnmountedStatus? Unmounted { get; init; }
    public required long LogBytes { get; init; }
    public required long QuotaBytes { get; init; }
    public required ulong NextSequence { get; init; }
    public required ulong CommittedSequence { get; init; }
    public required IReadOnlyList<MountSourceStatus> Sources { get; init; }

    public static MountStatus Of(string name, string at, MountCounters counters) => new()
    {
        Name = name,
        At = at,
        Writes = counters.Writes,
        Bytes = counters.Bytes,
        Opens = counters.Opens,
        Refused = counters.Refused,
        BlockedNow = counters.BlockedNow,
        Recognised = counters.Recognised,
        Unkept = counters.Unkept,
        Passthrough = PassthroughStatus.Of(counters),
        Unmounted = counters.UnmountedFiles + counters.UnmountedFaults > 0 ? new UnmountedStatus(counters.UnmountedFiles, counters.UnmountedBytes, counters.UnmountedFaults) : null,
        LogBytes = counters.LogBytes,
        QuotaBytes = counters.QuotaBytes,
        NextSequence = counters.NextSequence,
        CommittedSequence = counters.CommittedSequence,
        Sources = [.. counters.Sources.Select(s => new MountSourceStatus(s.Path, s.Writes, s.Bytes, s.Refused, s.LostRecords, s.LostBytes))],
    };
}

/// <summary>Files that are written straight to the disk. Bytes are also among the mount's; waiting = the log has no room for them.</summary>
/// <param name="Open">Files open at this moment.</param>
/// <param name="NotPassed">Why files are captured as all others are, if they are.</param>
internal sealed record PassthroughStatus(
    long Open, long Bytes, long Extents, long WaitingBytes, long SavedBytes, long PunchedBytes, long Shrunk, string? NotPassed)
{
    /// <summary>Null when nothing was ever passed through.</summary>
    public static PassthroughStatus? Of(MountCounters counters)
    {
        var status = new PassthroughStatus(
            counters.PassedOpens, counters.PassedBytes, counters.Extents, counters.WaitingBytes, counters.SavedBytes, counters.PunchedBytes, counters.Shrunk, counters.NotPassed);
        return status == new PassthroughStatus(0, 0, 0, 0, 0, 0, 0, null) ? null : status;
    }
}

/// <summary>What files grew by while nothing was mounted. Bytes are also among the mount's.</summary>
/// <param name="Faults">Files and directories of which that cannot be carried.</param>
internal sealed record UnmountedStatus(long Files, long Bytes, long Faults);

internal sealed record MountSourceStatus(string Path, long Writes, long Bytes, long Refused, long LostRecords, long LostBytes);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ProcessStatus))]
[JsonSerializable(typeof(InstanceStatus))]
internal sealed partial class StatusJson : JsonSerializerContext;
