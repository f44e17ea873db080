using System.CommandLine;
using Hikyaku.Config;

namespace Hikyaku.Commands;

/// <summary><c>hikyaku convert FILE</c>: prints the native configuration that means what a file of K2HFTFUSE means.</summary>
internal static class ConvertCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "A configuration file of K2HFTFUSE: YAML, JSON or INI." };
        var at = new Option<string>("--at") { Description = "The directory that was given to k2hftfuse.", HelpName = "DIR" };
        var command = new Command("convert", "Print the native equivalent of a configuration of K2HFTFUSE.") { file, at };
        command.SetAction(parsed => CommandLine.Guard(() =>
        {
            var path = parsed.GetRequiredValue(file);
            var mountPoint = parsed.GetValue(at) is { } given ? Path.TrimEndingDirectorySeparator(Path.GetFullPath(given)) : null;
            var settings = ConfigurationFile.Load(path, mountPoint, checksFiles: false);
            if (!settings.IsConverted)
                throw new CommandException(ExitCode.Usage, $"{path} is a native configuration already");
            if (settings.Mounts.Any(m => m.At is ""))
                throw new CommandException(ExitCode.Usage, $"{path} does not say what to mount; add the directory that was given to k2hftfuse: hikyaku convert {path} --at DIR");
            Print(settings, Path.GetFileName(path), Console.Out);
            return ExitCode.Ok;
        }));
        return command;
    }

    internal static void Print(Settings settings, string name, TextWriter output)
    {
        output.WriteLine($"# What {name} says, as a configuration of Hikyaku.");
        foreach (var notice in settings.Notices)
            output.WriteLine($"# {notice}");
        output.WriteLine();
        output.Write(settings.Text);
    }
}
