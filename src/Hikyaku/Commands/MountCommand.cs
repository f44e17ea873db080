using System.CommandLine;
using System.Diagnostics;
using Hikyaku.Config;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku mount DIR -o conf=FILE[,...] [-f]</c>: for fstab and for command lines of K2HFTFUSE.</summary>
internal static class MountCommand
{
    private const string DaemonOption = "--daemon";
    private const string ConfigurationVariable = "K2HFTCONFFILE";

    // Options of mount(8) and of FUSE programs that ask for what is so anyway, or that mean nothing here.
    private static readonly string[] Accepted =
    [
        "rw", "dev", "nodev", "suid", "nosuid", "exec", "noexec", "atime", "noatime", "relatime", "norelatime", "strictatime", "diratime", "nodiratime",
        "async", "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail", "allow_other", "allow_root", "nonempty",
        "default_permissions", "big_writes", "direct_io", "intr", "nointr", "disable_run_chmpx",
    ];
    private static readonly string[] AcceptedWithValue = ["fsname", "subtype", "comment", "max_read", "max_write", "dbglevel", "chmpxlog", "umask", "uid", "gid"];

    public static Command Create()
    {
        var directory = new Argument<string>("DIR") { Description = "The directory to mount." };
        var options = new Option<string[]>("-o") { Description = "conf=FILE, and any option of mount(8); separated by commas.", HelpName = "OPTIONS", AllowMultipleArgumentsPerToken = false };
        var foreground = new Option<bool>("-f", "--foreground") { Description = "Stay in the foreground. Otherwise return as soon as it is mounted." };
        var daemon = new Option<bool>(DaemonOption) { Hidden = true };
        var command = new Command("mount", "Mount a directory as a configuration says; an fstab line of type fuse.hikyaku comes here too.") { directory, options, foreground, daemon };
        command.SetAction(parsed => CommandLine.Guard(() =>
        {
            var at = Path.TrimEndingDirectorySeparator(Path.GetFullPath(parsed.GetRequiredValue(directory)));
            var file = Path.GetFullPath(ReadOptions(parsed.GetValue(options) ?? []));
            var settings = ConfigurationFile.Load(file, at);
            if (parsed.GetValue(daemon))
                return Instance.Run(settings, at, Daemon.Enter(settings.State));
            return parsed.GetValue(foreground)
                ? Instance.Run(settings, at, started: null)
                : Daemon.Start(settings.State, ["mount", at, "-o", $"conf={file}", DaemonOption]);
        }));
        return command;
    }

    /// <summary>The configuration file that a list of mount options names.</summary>
    internal static string ReadOptions(IEnumerable<string> lists)
    {
        string? file = null;
        foreach (var option in lists.SelectMany(l => l.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)))
        {
            var (name, value) = option.IndexOf('=', StringComparison.Ordinal) is >= 0 and var equals ? (option[..equals], option[(equals + 1)..]) : (option, null);
            if (name is "conf" && value is { Length: > 0 })
                file = value;
            else if (name is "json" or "enable_run_chmpx" or "ro")
                throw new CommandException(ExitCode.Usage, $"-o {name} is not supported{(name is "json" ? " yet; write the configuration to a file and give -o conf=FILE" : "")}");
            else if (!(value is null ? Accepted : AcceptedWithValue).Contains(name, StringComparer.Ordinal) && !name.StartsWith("x-", StringComparison.Ordinal))
                throw new CommandException(ExitCode.Usage, $"unknown mount option '{option}'"
                    + (Nearest.To(name, [.. Accepted, .. AcceptedWithValue, "conf"]) is { } near ? $"; did you mean '{near}'?" : "; hikyaku's own one is conf=FILE"));
        }
        return file ?? Environment.GetEnvironmentVariable(ConfigurationVariable)
            ?? throw new CommandException(ExitCode.Usage, $"no configuration: give -o conf=FILE (or set {ConfigurationVariable})");
    }
}
