using System.CommandLine;
using System.Text.Json;
using Hikyaku.Config;
using Hikyaku.Status;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku status</c>: what an instance has taken in, carried on, still holds, and lost.</summary>
internal static class StatusCommand
{
    public static Command Create()
    {
        var file = new Option<string?>("--config", "-c") { Description = "The configuration of the instance.", HelpName = "FILE" };
        var directory = new Option<string?>("--state") { Description = "The state directory of the instance.", HelpName = "DIR" };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("status", "Show what an instance has taken in, carried on, still holds, and lost; without options, of the only one that runs.") { file, directory, json };
        command.SetAction(parsed => CommandLine.Guard(() =>
        {
            var state = parsed.GetValue(directory) is { } given ? Path.GetFullPath(given)
                : parsed.GetValue(file) is { } path ? ConfigurationFile.Load(path).State : FindRunning();
            if (!Directory.Exists(state))
                throw new CommandException(ExitCode.Missing, $"no instance has ever run here: there is no state directory {state}");
            var status = InstanceStatus.Read(state);
            if (parsed.GetValue(json))
                Console.WriteLine(JsonSerializer.Serialize(status, StatusJson.Default.InstanceStatus));
            else
                StatusPage.Write(status, Console.Out);
            return status.Process is null ? ExitCode.Missing : ExitCode.Ok;
        }));
        return command;
    }

    private static string FindRunning()
    {
        var root = Path.GetDirectoryName(StateDirectory.Default("any"))!;
        string[] running = Directory.Exists(root) ? [.. Directory.GetDirectories(root).Where(d => StateLock.Holder(d) is not null)] : [];
        return running switch
        {
            [var only] => only,
            [] => throw new CommandException(ExitCode.Missing, $"no instance is running with its state below {root}; name one with -c FILE or --state DIR"),
            _ => throw new CommandException(ExitCode.Usage, $"several instances are running; name one: {string.Join(' ', running.Select(r => "--state " + r))}"),
        };
    }
}
