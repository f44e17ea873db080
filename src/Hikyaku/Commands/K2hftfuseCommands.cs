using System.CommandLine;
using System.Text;
using Hikyaku.Config;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary>
/// The command lines of K2HFTFUSE's programs. Under a link of that name the program is called as they are:
/// <c>k2hftfuse DIR -o OPTIONS</c>, <c>k2hftfusesvr -conf FILE</c>, <c>chmpx -conf FILE</c>.
/// </summary>
internal static class K2hftfuseCommands
{
    private const string Mount = "k2hftfuse", Collect = "k2hftfusesvr", Carry = "chmpx";

    // Before the name of the command that a link means: under a link the name alone is this program's own.
    private const string Prefix = "as-";

    /// <summary>The arguments with the name of the link in front of them, if the program was called by one.</summary>
    public static string[] ByLink(string[] args)
    {
        var called = Encoding.UTF8.GetString(File.ReadAllBytes("/proc/self/cmdline")).Split('\0')[0];
        var name = Path.GetFileName(called);
        return name is Mount or Collect or Carry ? [Prefix + name, .. args] : args;
    }

    public static IEnumerable<Command> Create() => [CreateMount(), CreateCollect(), CreateCarry()];

    private static Command CreateMount()
    {
        var directory = new Argument<string>("DIR") { Description = "The directory to mount." };
        var options = new Option<string[]>("-o") { Description = "conf=FILE or json=TEXT, and options of mount(8).", HelpName = "OPTIONS", AllowMultipleArgumentsPerToken = false };
        var foreground = new Option<bool>("-f") { Description = "Stay in the foreground." };
        var debug = new Option<bool>("-d", "--debug") { Description = "Accepted; what matters is always in the journal." };
        var single = new Option<bool>("-s") { Description = "Accepted." };
        var command = new Command(Prefix + Mount, "As K2HFTFUSE's program of this name: mounts a directory.") { directory, options, foreground, debug, single };
        command.Hidden = true;
        command.SetAction(parsed => CommandLine.Guard(() =>
            MountCommand.Run(parsed.GetRequiredValue(directory), parsed.GetValue(options) ?? [], parsed.GetValue(foreground) || parsed.GetValue(debug))));
        return command;
    }

    private static Command CreateCollect()
    {
        var (file, json) = Configuration();
        var level = new Option<string>("-d", "-g", "-dg") { Description = "Accepted; what matters is always in the journal.", HelpName = "LEVEL" };
        var command = new Command(Prefix + Collect, "As K2HFTFUSE's program of this name: receives, writes and relays lines.") { file, json, level };
        command.Hidden = true;
        command.SetAction(parsed => CommandLine.Guard(() => RunCommand.Run(
            Given(parsed.GetValue(file), parsed.GetValue(json), "K2HFTSVRCONFFILE", "K2HFTSVRJSONCONF", Collect))));
        return command;
    }

    private static Command CreateCarry()
    {
        var (file, json) = Configuration();
        Option<string>[] accepted = [.. new[] { "-ctlport", "-cuk", "-d", "-dfile" }.Select(n => new Option<string>(n) { Description = "Accepted." })];
        var command = new Command(Prefix + Carry, "As CHMPX's program of this name, which is not needed any more: waits until it is stopped.") { file, json };
        command.Hidden = true;
        foreach (var option in accepted)
            command.Options.Add(option);
        command.SetAction(parsed => CommandLine.Guard(() =>
        {
            var given = Given(parsed.GetValue(file), parsed.GetValue(json), "CHMCONFFILE", "CHMJSONCONF", Carry);
            if (!File.Exists(given))
                throw new CommandException(ExitCode.Usage, $"{given}: there is no such file");
            using var signals = new StopSignals();
            Journal.Info(Carry, "not needed any more: k2hftfuse and k2hftfusesvr carry lines themselves. Waiting to be stopped, so that whatever starts and watches this program finds it");
            do
                signals.ComeAsync().GetAwaiter().GetResult();
            while (signals.Take() is not StopSignal.Stop);
            return ExitCode.Ok;
        }));
        return command;
    }

    private static (Option<string> File, Option<string> Json) Configuration() =>
        (new Option<string>("-conf") { Description = "The configuration file.", HelpName = "FILE" }, new Option<string>("-json") { Description = "The configuration as a JSON text.", HelpName = "TEXT" });

    private static string Given(string? file, string? json, string fileVariable, string jsonVariable, string name)
    {
        if (file is not null && json is not null)
            throw new CommandException(ExitCode.Usage, "-conf and -json exclude each other");
        if (file is null && json is null)
            (file, json) = JsonText.FromEnvironment(fileVariable, jsonVariable)
                ?? throw new CommandException(ExitCode.Usage, $"no configuration: give -conf FILE or -json TEXT (or set {fileVariable} or {jsonVariable})");
        return file is not null ? Path.GetFullPath(file) : JsonText.Save(json!, StateDirectory.Default(name), name);
    }
}
