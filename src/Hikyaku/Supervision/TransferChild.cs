using System.Globalization;
using Hikyaku.Commands;
using Hikyaku.Config;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Status;
using Hikyaku.Transfer;

namespace Hikyaku.Supervision;

/// <summary>The process that carries lines on. It reads the accepted configuration itself; only descriptors are told by arguments.</summary>
internal static class TransferChild
{
    public const string Verb = "serve-transfer";

    public static readonly IReadOnlyDictionary<string, MountEnds> NoMounts = new Dictionary<string, MountEnds>(StringComparer.Ordinal);

    private const string Where = "transfer";

    public static IReadOnlyList<string> Command(Settings settings, string? mountPoint, IEnumerable<HeldMount> mounts) =>
    [
        .. ChildProcess.Self, Verb,
        ChildArguments.Word("configuration", settings.File),
        ChildArguments.Word("accepted", InstancePaths.Accepted(settings.State)),
        .. mountPoint is null ? [] : new[] { ChildArguments.Word("mount", mountPoint) },
        .. mounts.Select(m => ChildArguments.Word("inherited", string.Create(CultureInfo.InvariantCulture, $"{m.Doorbell}:{m.Directory}:{m.Settings.Name}"))),
    ];

    public static int Run(string[] words)
    {
        using var stop = ChildLife.Begin();
        // Our own plugins must not hold what we have inherited.
        ChildProcess.KeepFromChildren();
        var arguments = new ChildArguments(words);
        try
        {
            var settings = ConfigurationFile.Load(arguments["configuration"], arguments.Find("mount"), arguments["accepted"]);
            var mounts = arguments.All("inherited").Select(d => d.Split(':', 3)).ToDictionary(
                d => d[2], d => new MountEnds(int.Parse(d[0], CultureInfo.InvariantCulture), int.Parse(d[1], CultureInfo.InvariantCulture)), StringComparer.Ordinal);
            return RunAsync(settings, mounts, ChildLife.TellReady, stop.Token).GetAwaiter().GetResult();
        }
        catch (ConfigurationException e)
        {
            Journal.Error(Where, e.Message);
            return ExitCode.Usage;
        }
    }

    /// <summary>Carries lines until cancelled; returns the exit code.</summary>
    /// <param name="mounts">The mounts that run, each with its inherited descriptors.</param>
    /// <param name="started">Called once, when everything that can fail at the start has not.</param>
    public static async Task<int> RunAsync(Settings settings, IReadOnlyDictionary<string, MountEnds> mounts, Action? started, CancellationToken stop)
    {
        try
        {
            var process = new TransferProcess(Translate(settings, mounts));
            var running = process.RunAsync(stop);
            if (!running.IsCompleted)
                started?.Invoke();
            using var status = new StatusFile(settings.State, Where, () => new ProcessStatus { Transfer = process.Status() });
            await running;
            return ExitCode.Ok;
        }
        catch (Exception e) when (e is ForwardException or LogException)
        {
            Journal.Error(Where, e.Message);
            return ExitCode.Missing;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Journal.Error(Where, e.Message);
            return ExitCode.Failed;
        }
    }

    internal static TransferSettings Translate(Settings settings, IReadOnlyDictionary<string, MountEnds> mounts)
    {
        // A mount that came into the file after the start is not mounted: its routes wait for the next start.
        var intakes = settings.Mounts.Select(m => m.Name).Where(mounts.ContainsKey).ToList();
        if (settings.Receive is not null)
            intakes.Add(Config.ReceiveSettings.Name);
        return new TransferSettings
        {
            Host = settings.Host,
            StateDirectory = settings.State,
            Mounts = [.. settings.Mounts.Where(m => mounts.ContainsKey(m.Name)).Select(m => new MountLog(m.Name, mounts[m.Name].Doorbell, m.Log.Commit) { BackingDirectory = PathOf(mounts[m.Name].Directory) })],
            Receive = settings.Receive is { } receive ? Translate(receive) : null,
            Routes = Routes(settings, intakes),
            Report = message => Journal.Warn(Where, message),
        };
    }

    /// <summary>The routes that take lines from the given intakes, and of what they take only that.</summary>
    internal static IReadOnlyList<Transfer.RouteSettings> Routes(Settings settings, List<string> intakes) =>
        [.. settings.Routes.Where(r => r.From.Any(intakes.Contains)).Select(r => Translate(r, intakes))];

    // Once mounted, the directory has no other name by which it can be reached.
    private static string? PathOf(int directory) => directory < 0 ? null : string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{directory}");

    private static Transfer.ReceiveSettings Translate(Config.ReceiveSettings receive) => new(receive.Listen.ToString())
    {
        Commit = receive.Log.Commit,
        CommitInterval = receive.Log.Interval,
        QuotaBytes = receive.Log.QuotaBytes,
        WhenFull = receive.Log.WhenFull,
        Admission = receive.Admission,
    };

    private static Transfer.RouteSettings Translate(Config.RouteSettings route, List<string> intakes) => new(route.Name)
    {
        From = [.. route.From.Where(intakes.Contains)],
        Match = route.Match,
        Rules = route.Rules,
        Forward = route.Forward?.Translate(),
        File = route.File is { } file ? new FileOutputSettings(file.Path) { Format = file.Format, Time = file.Time, Slices = file.Slices } : null,
        Filter = route.Filter is { } filter ? filter with { Command = filter.Command with { Launcher = PluginChild.Launcher } } : null,
        Pipe = route.Pipe?.Translate(PluginChild.Launcher),
    };
}

/// <summary>Inherited descriptors of one mount: the eventfd that its process rings, and the directory underneath (O_PATH); -1 = none.</summary>
internal readonly record struct MountEnds(int Doorbell, int Directory = -1);
