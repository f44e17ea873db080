using Hikyaku.Forward;

namespace Hikyaku.Transfer;

/// <summary>What a transfer process knows of itself. Counters rise from zero at the start of the process, except where a summary says otherwise.</summary>
public sealed record TransferStatus
{
    public required IReadOnlyList<PumpStatus> Pumps { get; init; }
    public IntakeStatus? Receive { get; init; }

    /// <summary>Cursor files that no route uses: they hold lines back until somebody removes them.</summary>
    public IReadOnlyList<string> AbandonedCursors { get; init; } = [];
}

/// <summary>One log on its way to one output. Lines and bytes out are kept in the journal: they survive restarts.</summary>
public sealed record PumpStatus
{
    public required string Name { get; init; }
    public required string Route { get; init; }
    public required string Log { get; init; }
    public required string Output { get; init; }
    public required ulong Cursor { get; init; }
    public required long LinesOut { get; init; }
    public required long BytesOut { get; init; }
    public required int ChunksInFlight { get; init; }
    public required long LinesInFlight { get; init; }

    /// <summary>How lines are given to several servers, and where the list of them comes from; null where there is no such choice.</summary>
    public ServersStatus? Servers { get; init; }

    /// <summary>Losses and damage by cause, in records or lines. An empty map is the aim of this program.</summary>
    public required IReadOnlyDictionary<string, long> Losses { get; init; }

    /// <summary>Lines that the route's filter answered with nothing.</summary>
    public long DroppedByFilter { get; init; }

    public required IReadOnlyList<SourceStatus> Sources { get; init; }
    public required IReadOnlyList<ReceiverStatus> Receivers { get; init; }
}

/// <param name="Deliver">random, hash, broadcast or failover.</param>
/// <param name="Source">Where the servers are named.</param>
/// <param name="Problem">Why the list is an earlier one, or empty; else empty.</param>
public sealed record ServersStatus(string Deliver, string Source, string Problem);

/// <summary>Lines are those read from the log since the process started; a source that no pattern of the route matches is not <see cref="Matched"/>.</summary>
public sealed record SourceStatus(string Host, string Path, bool Matched, long Lines, long Bytes, DateTimeOffset Last)
{
    /// <summary>Of these lines the ones that the route's patterns kept back.</summary>
    public long Denied { get; init; }

    /// <summary>And those that were longer than the route carries.</summary>
    public long TooLong { get; init; }

    /// <summary>And those that were older than the route carries.</summary>
    public long Expired { get; init; }
}

/// <summary>A server, a file tree, a process, or a filter. <see cref="Problem"/> is empty when it is healthy.</summary>
public sealed record ReceiverStatus(string Name, bool Healthy, string Problem, long Lines, long Bytes, int ChunksInFlight, long Repeats)
{
    /// <summary>When it became healthy, or ceased to be; null where nobody looks.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>Its share beside those of others.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Gets lines only while no other server is healthy.</summary>
    public bool IsStandby { get; init; }

    /// <summary>Of a file tree: slices of time that were compressed.</summary>
    public long Compressed { get; init; }

    /// <summary>Of a file tree: slices of time that were removed, being too old or too many.</summary>
    public long Removed { get; init; }

    /// <summary>Not in the list any more, and not done with what it has.</summary>
    public bool IsLeaving { get; init; }
}

/// <summary>What was received from other hosts.</summary>
public sealed record IntakeStatus
{
    public required string Listen { get; init; }
    public required int Connections { get; init; }

    /// <summary>What peers must show; null if everybody may connect, in plain text.</summary>
    public AdmissionStatus? Admission { get; init; }

    public required long Chunks { get; init; }
    public required long Lines { get; init; }
    public required long Bytes { get; init; }
    public required long Repeats { get; init; }
    public required long Refused { get; init; }
    public required bool Full { get; init; }
    public required long LogBytes { get; init; }
    public required long QuotaBytes { get; init; }
    public required IReadOnlyDictionary<string, long> Losses { get; init; }
}
