using System.CommandLine;
using Hikyaku.Config;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku run -c FILE</c>: everything the file says, in the foreground until SIGTERM or SIGINT.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var file = new Option<string>("--config", "-c") { Description = "The configuration file.", Required = true, HelpName = "FILE" };
        var command = new Command("run", "Mount, receive and carry as a configuration says, until SIGTERM or SIGINT. SIGHUP reads the configuration again.") { file };
        command.SetAction(parsed => CommandLine.Guard(() => Run(parsed.GetRequiredValue(file))));
        return command;
    }

    /// <summary>Runs a configuration file until it is stopped; returns the exit code.</summary>
    public static int Run(string path)
    {
        var settings = ConfigurationFile.Load(path);
        if (settings.Mounts.FirstOrDefault(m => m.At is "") is not null)
            throw new CommandException(ExitCode.Usage, $"{path} does not say what to mount; use: hikyaku mount DIRECTORY -o conf={path} -f");
        return Instance.Run(settings, mountPoint: null, started: null);
    }
}
