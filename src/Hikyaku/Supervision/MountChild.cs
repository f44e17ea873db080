using Hikyaku.Commands;
using Hikyaku.Config;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Hikyaku.Status;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Supervision;

/// <summary>The process behind one mount. It is told everything by its arguments: reading a configuration would cost writers time after a crash.</summary>
internal static class MountChild
{
    public const string Verb = "serve-mount";

    public static IReadOnlyList<string> Command(Settings settings, HeldMount mount) =>
    [
        .. ChildProcess.Self, Verb,
        ChildArguments.Word("name", mount.Settings.Name),
        ChildArguments.Word("at", mount.Settings.At),
        ChildArguments.Word("state", settings.State),
        ChildArguments.Word("device", mount.Device),
        ChildArguments.Word("directory", mount.Directory),
        ChildArguments.Word("doorbell", mount.Doorbell),
        ChildArguments.Word("negotiation", mount.Negotiation.ToString()),
        ChildArguments.Word("incarnation", mount.Incarnation),
        ChildArguments.Word("keep", mount.Settings.KeepAll ? 1 : 0),
        ChildArguments.Word("unmounted", mount.Settings.CarriesUnmounted ? 1 : 0),
        ChildArguments.Word("commit", (int)mount.Settings.Log.Commit),
        ChildArguments.Word("interval", mount.Settings.Log.Interval.Ticks),
        ChildArguments.Word("quota", mount.Settings.Log.QuotaBytes),
        ChildArguments.Word("full", (int)mount.Settings.Log.WhenFull),
        .. mount.Settings.Passthrough.Select(p => ChildArguments.Word("passthrough", p)),
        .. mount.Settings.Only.Select(p => ChildArguments.Word("only", p)),
        .. InstancePaths.Pumps(settings, mount.Settings.Name).Select(p => ChildArguments.Word("cursor", p)),
    ];

    /// <summary>After the mount and the transfer have ended: what the directory need not hold any more goes.</summary>
    public static void Clear(Settings settings, HeldMount mount)
    {
        var (state, name) = (settings.State, mount.Settings.Name);
        try
        {
            Leftovers.Remove(new MountOptions
            {
                Name = name,
                DeviceFd = -1,
                DirectoryFd = mount.Directory,
                Negotiation = mount.Negotiation.ToString(),
                StateDirectory = InstancePaths.Mount(state, name),
                LogDirectory = InstancePaths.Log(state, name),
                Log = new LogOptions { CursorDirectory = InstancePaths.Cursors(state, name), Cursors = InstancePaths.Pumps(settings, name) },
                Keep = mount.Settings.KeepAll ? Keep.All : Keep.None,
            });
        }
        catch (Exception e) when (e is MountException or LogException)
        {
            // The next start does it.
            Journal.Warn($"mount {name}", e.Message);
        }
    }

    public static int Run(string[] words)
    {
        using var stop = ChildLife.Begin();
        var arguments = new ChildArguments(words);
        var name = arguments["name"];
        var where = $"mount {name}";
        var state = arguments["state"];
        try
        {
            var options = new MountOptions
            {
                Name = name,
                DeviceFd = arguments.Number("device"),
                DirectoryFd = arguments.Number("directory"),
                DoorbellFd = arguments.Number("doorbell"),
                DoorbellPath = InstancePaths.Doorbell(state, name),
                Negotiation = arguments["negotiation"],
                Incarnation = (ulong)arguments.LongNumber("incarnation"),
                StateDirectory = InstancePaths.Mount(state, name),
                LogDirectory = InstancePaths.Log(state, name),
                Log = new LogOptions
                {
                    QuotaBytes = arguments.LongNumber("quota"),
                    WhenFull = (WhenFull)arguments.Number("full"),
                    CursorDirectory = InstancePaths.Cursors(state, name),
                    Cursors = arguments.All("cursor"),
                    Report = message => Journal.Warn(where, message),
                },
                CommitLevel = (CommitLevel)arguments.Number("commit"),
                CommitInterval = TimeSpan.FromTicks(arguments.LongNumber("interval")),
                Keep = arguments.Number("keep") is 1 ? Keep.All : Keep.None,
                CarriesUnmounted = arguments.Number("unmounted") is 1,
                PassesThrough = arguments.All("passthrough") is { Count: > 0 } patterns ? new PathMatch(patterns).Matches : null,
                Takes = arguments.All("only") is { Count: > 0 } taken ? new PathMatch(taken).Matches : null,
                Report = message => Journal.Warn(where, message),
                Ready = ChildLife.TellReady,
            };
            using var status = new StatusFile(state, where.Replace(' ', '-'), () => new ProcessStatus { Mount = MountStatus.Of(name, arguments["at"], options.Counters) });
            if (MountProcess.Run(options, stop.Token) is not MountEnd.Aborted)
                return ExitCode.Ok;
            Journal.Error(where, "the kernel's connection was aborted; programs get errors below the mount point until it is mounted anew");
            return SupervisedChild.NoSuccessor;
        }
        catch (Exception e) when (e is MountException or LogException or FuseException)
        {
            Journal.Error(where, e.Message);
            return ExitCode.Missing;
        }
    }
}
