using System.CommandLine;
using Hikyaku.Config;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku mount DIR -o conf=FILE[,...] [-f]</c>: for fstab and for command lines of K2HFTFUSE.</summary>
internal static class MountCommand
{
    private const string DaemonOption = "--daemon";

    public static Command Create()
    {
        var directory = new Argument<string>("DIR") { Description = "The directory to mount." };
        var options = new Option<string[]>("-o") { Description = "conf=FILE or json=TEXT, and any option of mount(8); separated by commas.", HelpName = "OPTIONS", AllowMultipleArgumentsPerToken = false };
        var foreground = new Option<bool>("-f", "--foreground") { Description = "Stay in the foreground. Otherwise return as soon as it is mounted." };
        var daemon = new Option<bool>(DaemonOption) { Hidden = true };
        var command = new Command("mount", "Mount a directory as a configuration says; an fstab line of type fuse.hikyaku comes here too.") { directory, options, foreground, daemon };
        command.SetAction(parsed => CommandLine.Guard(() =>
            Run(parsed.GetRequiredValue(directory), parsed.GetValue(options) ?? [], parsed.GetValue(foreground), parsed.GetValue(daemon))));
        return command;
    }

    /// <summary>Mounts a directory; returns the exit code.</summary>
    /// <param name="optionLists">What stood behind each <c>-o</c>.</param>
    /// <param name="isDaemon">This is the process in the background already.</param>
    public static int Run(string directory, IEnumerable<string> optionLists, bool inForeground, bool isDaemon = false)
    {
        var at = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        var options = MountOptionList.Read(optionLists);
        var file = options.File is { } named ? Path.GetFullPath(named)
            : JsonText.Save(options.Json!, StateDirectory.Default(at.Trim('/').Replace('/', '-')), "k2hftfuse");
        var settings = ConfigurationFile.Load(file, at);
        settings = settings with
        {
            Notices = [.. settings.Notices, .. options.Notices],
            Mounts = [.. settings.Mounts.Select(m => m with { NoExec = options.NoExec && m.At == at })],
        };
        if (isDaemon)
            return Instance.Run(settings, at, Daemon.Enter(settings.State));
        return inForeground
            ? Instance.Run(settings, at, started: null)
            : Daemon.Start(settings.State, ["mount", at, "-o", $"conf={file}{(options.NoExec ? ",noexec" : "")}", DaemonOption]);
    }
}
