using System.CommandLine;
using Hikyaku.Log;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku log dump|verify DIR</c>: a log for people at night. Reads only; a running instance is not disturbed.</summary>
internal static class LogCommand
{
    public static Command Create() => new("log", "Look into a log (a directory below STATE/logs); a running instance is not disturbed.")
    {
        Create("dump", "Print one line per record.", (inspection, output) =>
        {
            inspection.Dump(output);
            return ExitCode.Ok;
        }),
        Create("verify", "Check every record; exit code 1 when anything is damaged.", (inspection, output) => inspection.Verify(output) ? ExitCode.Failed : ExitCode.Ok),
    };

    private static Command Create(string name, string description, Func<LogInspection, TextWriter, int> look)
    {
        var directory = new Argument<string>("DIR") { Description = "The directory of the log's segments." };
        var command = new Command(name, description) { directory };
        command.SetAction(parsed => CommandLine.Guard(() =>
        {
            var path = parsed.GetRequiredValue(directory);
            if (!Directory.Exists(path))
                throw new CommandException(ExitCode.Usage, $"there is no directory {path}; expected one such as STATE/logs/NAME");
            return look(new LogInspection(new FileLogStorage(path)), Console.Out);
        }));
        return command;
    }
}
