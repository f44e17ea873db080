using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>Says something of a path as opened, relative to the mount.</summary>
public delegate bool PathPredicate(ReadOnlySpan<byte> path);

/// <summary>What the mount process is told by its supervisor.</summary>
public sealed record MountOptions
{
    /// <summary>The mount's name in the configuration, for messages.</summary>
    public required string Name { get; init; }

    /// <summary>The inherited descriptor of /dev/fuse; INIT is already answered.</summary>
    public required int DeviceFd { get; init; }

    /// <summary>The outcome of INIT, as <see cref="Fuse.FuseNegotiation.ToString"/> gave it.</summary>
    public required string Negotiation { get; init; }

    /// <summary>The directory underneath, opened before it was mounted over (O_PATH is enough).</summary>
    public required int DirectoryFd { get; init; }

    /// <summary>Where the file `state` lies; made (0700) if missing.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>The directory of the log's segments.</summary>
    public required string LogDirectory { get; init; }

    /// <summary>Quota, cursors and what happens when full; the floor is set by the mount itself.</summary>
    public required LogOptions Log { get; init; }

    /// <summary>When a write(2) is answered.</summary>
    public CommitLevel CommitLevel { get; init; } = CommitLevel.Process;

    /// <summary>How often the log is committed at <see cref="CommitLevel.Interval"/>.</summary>
    public TimeSpan CommitInterval { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>What can be read back.</summary>
    public Keep Keep { get; init; } = Keep.All;

    /// <summary>Whether what programs write to files underneath while nothing is mounted is carried at the next mount.</summary>
    public bool CarriesUnmounted { get; init; }

    /// <summary>Says of a path as opened whether its file is written past us, straight to the disk; null = none is. Meant for <see cref="CommitLevel.Process"/>.</summary>
    public PathPredicate? PassesThrough { get; init; }

    /// <summary>Says of a path as opened whether it may be written and made; to others programs get EPERM. null = all may.</summary>
    public PathPredicate? Takes { get; init; }

    /// <summary>In place of the kernel, where there is none: from a descriptor to a backing id, or a negative error number.</summary>
    internal Func<int, int>? OpenBacking { get; init; }

    /// <summary>The file whose 8 bytes say whether the reader of the log sleeps; null = there is no such reader.</summary>
    public string? DoorbellPath { get; init; }

    /// <summary>The inherited eventfd that wakes it; -1 = none.</summary>
    public int DoorbellFd { get; init; } = -1;

    /// <summary>
    /// A number chosen when mounting that no earlier mount with this state directory had, such as the time; the same for every process
    /// of one mount. By it a process knows whether the state it finds is this mount's: its predecessor may have died before it made
    /// one. 0 = not given, <see cref="Fresh"/> decides.
    /// </summary>
    public ulong Incarnation { get; init; }

    /// <summary>True for the first process after mounting, false for the successor of one that died. Without meaning where <see cref="Incarnation"/> is given.</summary>
    public bool Fresh { get; init; }

    /// <summary>Receives sentences for people.</summary>
    public Action<string>? Report { get; init; }

    /// <summary>Called once, when the next thing is to read requests.</summary>
    public Action? Ready { get; init; }

    /// <summary>Filled while running; read it from any thread.</summary>
    public MountCounters Counters { get; init; } = new();
}
