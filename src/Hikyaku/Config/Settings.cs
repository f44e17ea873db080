using Hikyaku.Log;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Plugins;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Config;

/// <summary>A configuration as meant: complete, checked, immutable.</summary>
internal sealed record Settings
{
    /// <summary>Absolute path of the configuration file.</summary>
    public required string File { get; init; }

    /// <summary>What was written there when it was read; of a file of K2HFTFUSE the native equivalent.</summary>
    public string Text { get; init; } = "";

    /// <summary>It was a file of K2HFTFUSE.</summary>
    public bool IsConverted { get; init; }

    /// <summary>Absolute path of the state directory.</summary>
    public required string State { get; init; }

    /// <summary>The name this host's lines carry.</summary>
    public required string Host { get; init; }

    public required IReadOnlyList<MountSettings> Mounts { get; init; }

    /// <summary>Null when nothing is received.</summary>
    public required ReceiveSettings? Receive { get; init; }

    public required IReadOnlyList<RouteSettings> Routes { get; init; }

    /// <summary>What the user should know though nothing is wrong; each a whole sentence.</summary>
    public required IReadOnlyList<string> Notices { get; init; }
}

/// <summary>How durable an answer is, and what happens when the log is full.</summary>
internal sealed record LogPolicy(CommitLevel Commit, TimeSpan Interval, long QuotaBytes, WhenFull WhenFull)
{
    public static LogPolicy Default { get; } = new(CommitLevel.Process, TimeSpan.Zero, 1L << 30, WhenFull.Refuse);
}

/// <param name="At">Absolute path of the mounted directory; empty when only the command line can say it and has not.</param>
/// <param name="KeepAll">True: what is written can be read back. False: nothing is kept.</param>
internal sealed record MountSettings(string Name, string At, bool KeepAll, LogPolicy Log)
{
    /// <summary>Globs on the path as opened: files that are written past us, straight to the disk. Empty = none.</summary>
    public IReadOnlyList<string> Passthrough { get; init; } = [];

    /// <summary>Globs on the path as opened: only such files may be made and written. Empty = all.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];

    /// <summary>What programs write to files underneath while nothing is mounted is carried at the next mount.</summary>
    public bool CarriesUnmounted { get; init; } = true;

    /// <summary>No program may be started from it. Said by a command line, and so no part of what a configuration says of a mount.</summary>
    public bool NoExec { get; init; }

    public bool Equals(MountSettings? other) =>
        other is not null && CarriesUnmounted == other.CarriesUnmounted && Name == other.Name && At == other.At && KeepAll == other.KeepAll && Log == other.Log && Passthrough.SequenceEqual(other.Passthrough, StringComparer.Ordinal)
        && Only.SequenceEqual(other.Only, StringComparer.Ordinal);

    public override int GetHashCode() => HashCode.Combine(Name, At, KeepAll, Log, Passthrough.Count);
}

internal sealed record ReceiveSettings(HostPort Listen, LogPolicy Log)
{
    /// <summary>The receiver's name among the intakes and of its log.</summary>
    public const string Name = "receive";

    /// <summary>What peers must show; null: nothing.</summary>
    public Forward.AdmissionSettings? Admission { get; init; }
}

/// <param name="From">Names of mounts, or <see cref="ReceiveSettings.Name"/>; never empty.</param>
/// <param name="Match">Globs on the path as opened; empty matches everything.</param>
internal sealed record RouteSettings(string Name, IReadOnlyList<string> From, IReadOnlyList<string> Match, ForwardSettings? Forward, FileSettings? File)
{
    public PipeSettings? Pipe { get; init; }
    public FilterSettings? Filter { get; init; }
    public RuleSettings Rules { get; init; } = new();
}

/// <param name="Path">Absolute; with {host}, {path} or {file} one file per source, else one for all.</param>
internal sealed record FileSettings(string Path, string Format, string Time)
{
    public SliceSettings? Slices { get; init; }

    /// <summary>What becomes of finished slices, in words.</summary>
    public string DescribeSlices() => Slices is null ? "" : (Slices.Compress ? ", finished slices compressed" : "")
        + (Slices.Age is { } age ? $", removed when older than {Quantity.Show(age)}" : "") + (Slices.Bytes < long.MaxValue ? $", the oldest removed beyond {Quantity.Show(Slices.Bytes)} together" : "");

    public const string DefaultFormat = "%L";
    public const string DefaultTime = "%F %T";
}

/// <param name="Command">As words, and variables in front of them.</param>
/// <param name="Output">Absolute; the file that its standard output goes to, null: the journal. With {host}, {path} or {file} a process for each.</param>
internal sealed record PipeSettings(PluginCommand Command, Framing Framing, string Format, string Time, string? Output)
{
    /// <summary>As the transfer takes it.</summary>
    public PipeOutputSettings Translate(IReadOnlyList<string> launcher) => new(Command with { Launcher = launcher }) { Framing = Framing, Format = Format, Time = Time, Output = Output };

    /// <summary>In words.</summary>
    public string Describe() => $"{Command.Name}{(Framing is Framing.Length ? ", the length before each line" : "")}, format {Format}, time {Time}, what it puts out to {Output ?? "the journal"}";
}

/// <summary>A host name or address with a port.</summary>
internal readonly record struct HostPort(string Host, int Port)
{
    public const int ForwardPort = 24224;

    /// <summary>Reads <c>host</c>, <c>host:port</c>, <c>address</c> or <c>[v6 address]:port</c>.</summary>
    public static bool TryParse(string text, out HostPort result)
    {
        result = default;
        var port = ForwardPort;
        var host = text;
        var colon = text.LastIndexOf(':');
        if (text.StartsWith('['))
        {
            var close = text.IndexOf(']', StringComparison.Ordinal);
            if (close < 2 || (close != text.Length - 1 && colon != close + 1))
                return false;
            host = text[1..close];
            colon = colon > close ? colon : -1;
        }
        else if (colon >= 0 && text.IndexOf(':', StringComparison.Ordinal) == colon)
            host = text[..colon];
        else
            colon = -1;
        if (colon >= 0 && (!int.TryParse(text.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out port) || port is 0 or > 65535))
            return false;
        if (host.Length is 0 or > 253 || Uri.CheckHostName(host) is UriHostNameType.Unknown)
            return false;
        result = new HostPort(host, port);
        return true;
    }

    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}
