namespace Hikyaku.Log;

/// <summary>How a log is written.</summary>
public sealed record LogOptions
{
    /// <summary>Most bytes of segment files on disk; 0 = no limit. Less than 128 KiB counts as 128 KiB.</summary>
    public long QuotaBytes { get; init; }

    /// <summary>What happens at the quota or on a full disk.</summary>
    public WhenFull WhenFull { get; init; } = WhenFull.Refuse;

    /// <summary>Bytes of a segment file. Made smaller where less than four of them fit into the quota, but not below 64 KiB.</summary>
    public int SegmentBytes { get; init; } = 32 << 20;

    /// <summary>The clock of the segments' creation times.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Where the cursor files are.</summary>
    public Disk Disk { get; init; } = Disk.OfThisMachine;

    /// <summary>The directory of the readers' *.cursor files, or null if there are none.</summary>
    public string? CursorDirectory { get; init; }

    /// <summary>
    /// Names (without .cursor) of the cursors that must exist. One that does not exist yet holds everything back.
    /// Empty: no reader is expected, so without any cursor file everything sealed may be retired.
    /// Null: nobody knows yet, so nothing is retired before there is at least one cursor file.
    /// Cursor files that are not named here hold back as well.
    /// </summary>
    public IReadOnlyList<string>? Cursors { get; init; }

    /// <summary>
    /// The lowest sequence the owner itself still needs, or <see cref="ulong.MaxValue"/> for none. Nothing at or above it is retired,
    /// nor dropped by <see cref="WhenFull.DropOldest"/>. Called by any thread that opens, appends or retires.
    /// </summary>
    public Func<ulong>? Floor { get; init; }

    /// <summary>Receives one sentence for people about anything that was found damaged, set aside, dropped or full.</summary>
    public Action<string>? Report { get; init; }
}
