using System.CommandLine;
using System.CommandLine.Parsing;
using Hikyaku.Config;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary>The commands of <c>hikyaku</c>, one file each.</summary>
internal static class CommandLine
{
    public static int Run(string[] args)
    {
        var root = Create();
        var result = root.Parse(AsMountHelper(K2hftfuseCommands.ByLink(args), root));
        if (result.Errors.Count is 0)
        {
            ChildProcess.KeepFromChildren();
            return result.Invoke();
        }
        foreach (var error in result.Errors)
            Console.Error.WriteLine($"hikyaku: {error.Message}");
        Console.Error.WriteLine($"hikyaku: see hikyaku {string.Concat(CommandPath(result.CommandResult))}--help");
        return ExitCode.Usage;
    }

    public static RootCommand Create()
    {
        var root = CreateOwn();
        foreach (var command in K2hftfuseCommands.Create())
            root.Subcommands.Add(command);
        return root;
    }

    private static RootCommand CreateOwn() => new($"Carries every line written below a directory to other hosts, exactly once.\n{ExitCode.Help}")
    {
        RunCommand.Create(),
        CheckCommand.Create(),
        StatusCommand.Create(),
        MountCommand.Create(),
        ConvertCommand.Create(),
        LogCommand.Create(),
        TryCommand.Create(),
        VersionCommand.Create(),
    };

    /// <summary>Runs a command's body; what people can mend is printed as a message, without a stack trace.</summary>
    public static int Guard(Func<int> body)
    {
        try
        {
            return body();
        }
        catch (ConfigurationException e)
        {
            foreach (var message in e.Messages)
                Console.Error.WriteLine(message);
            return ExitCode.Usage;
        }
        catch (CommandException e)
        {
            Console.Error.WriteLine($"hikyaku: {e.Message}");
            return e.ExitCode;
        }
        catch (LogException e)
        {
            Console.Error.WriteLine($"hikyaku: {e.Message}");
            return e.Fault is LogFault.InUse or LogFault.DiskFull ? ExitCode.Missing : ExitCode.Failed;
        }
        catch (FuseException e)
        {
            Console.Error.WriteLine($"hikyaku: {e.Message}");
            return e.Failure is FuseFailure.Other or FuseFailure.Protocol ? ExitCode.Failed : ExitCode.Missing;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"hikyaku: {e.Message}");
            return ExitCode.Failed;
        }
    }

    private static IEnumerable<string> CommandPath(CommandResult command) =>
        command.Parent is CommandResult parent ? [.. CommandPath(parent), command.Command.Name + " "] : [];

    // mount(8) and mount.fuse call a helper as "hikyaku SPEC DIR -o OPTIONS", or "hikyaku DIR -o OPTIONS" without a spec.
    internal static string[] AsMountHelper(string[] args, RootCommand root)
    {
        if (args.Length is 0 || args[0].StartsWith('-') || args[0].StartsWith('[') || root.Subcommands.Any(c => c.Name == args[0]))
            return args;
        if (args is [_, ['/', ..], ..])
            return ["mount", .. args[1..]];
        return args[0].StartsWith('/') ? ["mount", .. args] : args;
    }
}
