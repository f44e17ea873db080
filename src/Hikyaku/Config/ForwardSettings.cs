using Hikyaku.Transfer;

namespace Hikyaku.Config;

/// <summary>A receiver, and its part.</summary>
internal sealed record ServerSettings(HostPort Address)
{
    public int Weight { get; init; } = 1;

    /// <summary>Gets lines only while no other is healthy.</summary>
    public bool IsStandby { get; init; }

    public override string ToString() => Address.ToString();
}

/// <summary>Where lines are sent to, and how they are given to several servers.</summary>
internal sealed record ForwardSettings(IReadOnlyList<ServerSettings> Servers)
{
    public const int CopiesMax = 16;

    /// <summary>Absolute path of a file that names servers; null: none.</summary>
    public string? File { get; init; }

    /// <summary>A DNS name with SRV records; null: none.</summary>
    public string? Srv { get; init; }

    public DeliverMode Deliver { get; init; }
    public HashKey Hash { get; init; }
    public int Copies { get; init; } = 1;

    /// <summary>Null: a chunk stays with the server it was sent to.</summary>
    public TimeSpan? FailoverAfter { get; init; }

    public Forward.Compression Compress { get; init; }

    /// <summary>What servers are shown and asked for; null: nothing.</summary>
    public Forward.CredentialSettings? Credentials { get; init; }

    /// <summary>As the transfer takes it.</summary>
    public ForwardOutputSettings Translate() => new([.. Servers.Select(s => new TargetServer(s.ToString()) { Weight = s.Weight, IsStandby = s.IsStandby })])
    {
        File = File is { } file ? new ServersFile(file, ForwardReader.ParseFile) : null,
        Srv = Srv,
        Deliver = Deliver,
        Hash = Hash,
        Copies = Copies,
        FailoverAfter = FailoverAfter,
        Compress = Compress,
        Credentials = Credentials,
    };

    /// <summary>In words.</summary>
    public string Describe() => string.Join(", and ", new[]
    {
        Servers.Count > 0 ? string.Join(' ', Servers.Select(s => s + (s.Weight > 1 ? $" weight {s.Weight}" : "") + (s.IsStandby ? " standby" : ""))) : null,
        File is null ? null : $"the servers that {File} names at the time", Srv is null ? null : $"the servers of the SRV records of {Srv}",
    }.OfType<string>()) + $" ({DescribeChoice()})";

    private string DescribeChoice() => Deliver switch
    {
        DeliverMode.Hash => Hash switch { HashKey.Host => "hash: lines of one host stay together", HashKey.File => "hash: lines of one file name stay together", _ => "hash: lines of one file stay together" },
        DeliverMode.Broadcast => "broadcast: each line to each",
        DeliverMode.Failover => "failover: the first that is healthy",
        _ => "random",
    } + (Copies > 1 ? $", {Copies} copies of each line" : "")
        + (FailoverAfter is { } patience ? $", what is not acknowledged within {Quantity.Show(patience)} goes to another and may arrive twice" : "");
}
