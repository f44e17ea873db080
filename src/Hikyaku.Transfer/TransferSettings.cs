using System.Net;
using System.Security.Cryptography;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Plugins;
using Hikyaku.Transfer.Rules;
using Hikyaku.Transfer.Servers;

namespace Hikyaku.Transfer;

/// <summary>All that a transfer process is told: which logs to read, what to receive, where lines go. Immutable and validated.</summary>
public sealed record TransferSettings
{
    /// <summary>The name under which this host's lines travel.</summary>
    public required string Host { get; init; }

    /// <summary>The instance's state directory; see docs/OPERATIONS.md for what lies in it.</summary>
    public required string StateDirectory { get; init; }

    public IReadOnlyList<MountLog> Mounts { get; init; } = [];
    public ReceiveSettings? Receive { get; init; }
    public IReadOnlyList<RouteSettings> Routes { get; init; } = [];

    /// <summary>One line per event that an operator should see.</summary>
    public Action<string> Report { get; init; } = static _ => { };

    public TimeProvider Time { get; init; } = TimeProvider.System;
    public Disk Disk { get; init; } = Disk.OfThisMachine;
    public Network Network { get; init; } = Network.Tcp;
    public Random Random { get; init; } = Random.Shared;

    /// <summary>What nobody may guess.</summary>
    public RandomFill Nonces { get; init; } = RandomNumberGenerator.Fill;

    /// <summary>Who knows the addresses of hosts that may connect.</summary>
    public HostLookup Lookup { get; init; } = LookUpAsync;

    /// <summary>Who knows the servers of a service.</summary>
    internal SrvLookup Srv { get; init; } = ServiceRecords.LookUpAsync;

    /// <summary>What rings when a mount has written.</summary>
    internal Func<TransferSettings, MountLog, LogTail> Tail { get; init; } = static (settings, mount) =>
        Doorbell.Open(Path.Combine(settings.StateDirectory, "doorbells", mount.Name), mount.DoorbellFd, mount.Name);

    // The C library blocks a thread until name servers answer, for half a minute if they do not: one of its own, not of the pool.
    private static Task<IPAddress[]> LookUpAsync(string host, CancellationToken cancellation) => Task.Factory.StartNew(
        () => Dns.GetHostAddresses(host), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}

/// <summary>The log of one mount, as this process reads it. <see cref="DoorbellFd"/> is the inherited eventfd that the mount rings.</summary>
public sealed record MountLog(string Name, int DoorbellFd, CommitLevel Commit)
{
    /// <summary>Leads to the directory underneath the mount, where backing files lie; null if the log has no extents.</summary>
    public string? BackingDirectory { get; init; }
}

/// <summary>The receiving side. <see cref="CommitInterval"/> is used with <see cref="CommitLevel.Interval"/> only.</summary>
public sealed record ReceiveSettings(string Listen)
{
    public CommitLevel Commit { get; init; } = CommitLevel.Process;
    public TimeSpan CommitInterval { get; init; } = TimeSpan.FromMilliseconds(10);
    public long QuotaBytes { get; init; } = 4L << 30;
    public WhenFull WhenFull { get; init; } = WhenFull.Refuse;

    /// <summary>What peers must show; null: nothing.</summary>
    public AdmissionSettings? Admission { get; init; }

    /// <summary>The canary of the simulation: repetitions are not recognised.</summary>
    internal bool StoresRepeats { get; init; }
}

/// <summary>Lines of the logs <see cref="From"/> (empty: all) whose path matches any of <see cref="Match"/> (empty: all) go to every output.</summary>
public sealed record RouteSettings(string Name)
{
    public IReadOnlyList<string> From { get; init; } = [];
    public IReadOnlyList<string> Match { get; init; } = [];
    public RuleSettings Rules { get; init; } = new();

    /// <summary>What becomes of lines that pass the rules; null: they stay as they are.</summary>
    public FilterSettings? Filter { get; init; }

    public ForwardOutputSettings? Forward { get; init; }
    public FileOutputSettings? File { get; init; }
    public PipeOutputSettings? Pipe { get; init; }
}

/// <summary>The servers named here, and those of <see cref="File"/> and <see cref="Srv"/>, which may change at any time.</summary>
public sealed record ForwardOutputSettings(IReadOnlyList<TargetServer> Servers)
{
    /// <summary>zstd is gzip for a server that does not take it, or without its library.</summary>
    public Compression Compress { get; init; }

    /// <summary>What servers are shown and asked for; null: nothing.</summary>
    public CredentialSettings? Credentials { get; init; }

    public DeliverMode Deliver { get; init; }

    /// <summary>With <see cref="DeliverMode.Hash"/> only.</summary>
    public HashKey Hash { get; init; }

    /// <summary>Each line goes to so many servers; with random and failover only.</summary>
    public int Copies { get; init; } = 1;

    /// <summary>What has not been acknowledged for so long goes to another server, and may arrive twice; null: never.</summary>
    public TimeSpan? FailoverAfter { get; init; }

    /// <summary>A file that names servers; null: none.</summary>
    public ServersFile? File { get; init; }

    /// <summary>A DNS name whose SRV records name servers; null: none.</summary>
    public string? Srv { get; init; }

    /// <summary>Servers may come and go while the process lives.</summary>
    public bool IsChanging => File is not null || Srv is not null;
}

/// <summary>
/// <see cref="Path"/> may hold {host}, {path} and {file}, and directives of strftime for the time of a line: then each distinct result is
/// a file of its own.
/// </summary>
public sealed record FileOutputSettings(string Path)
{
    public string Format { get; init; } = "%L";
    public string Time { get; init; } = "%F %T";

    /// <summary>Only with directives of time in the path; null: slices stay as they are.</summary>
    public SliceSettings? Slices { get; init; }
}

/// <summary>What becomes of files of a time that is over. Null, or the largest number: they may be as old, and as large together, as they will.</summary>
public sealed record SliceSettings
{
    public bool Compress { get; init; }
    public TimeSpan? Age { get; init; }
    public long Bytes { get; init; } = long.MaxValue;

    /// <summary>A slice is finished when its time is over by so much, and no line came for it for so long.</summary>
    internal TimeSpan Grace { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How often slices are looked at.</summary>
    internal TimeSpan Interval { get; init; } = TimeSpan.FromMinutes(1);
}

/// <summary>A process that answers each line, with another or with nothing. <see cref="Timeout"/>: it is ended when it has not for so long.</summary>
public sealed record FilterSettings(PluginCommand Command)
{
    public Framing Framing { get; init; }
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long it may go on after its input has ended.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>Lines go into the standard input of a process. <see cref="Output"/>: the file its standard output goes to; it may hold {host}, {path} and {file}: then there is a process for each distinct result.</summary>
public sealed record PipeOutputSettings(PluginCommand Command)
{
    public Framing Framing { get; init; }
    public string Format { get; init; } = "%L";
    public string Time { get; init; } = "%F %T";

    /// <summary>Null: what it puts out is reported line by line.</summary>
    public string? Output { get; init; }

    /// <summary>How long it may go on after its input has ended.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How many may run at once.</summary>
    internal int ProcessesMax { get; init; } = 64;
}
