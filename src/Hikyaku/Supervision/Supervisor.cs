using Hikyaku.Commands;
using Hikyaku.Config;

namespace Hikyaku.Supervision;

/// <summary>
/// Holds the mounts, keeps one child per mount and one transfer child running, and takes everything down in order. It does
/// nothing else, so that there is nothing in it that could fail.
/// </summary>
/// <param name="hold">The descriptor of the state directory's lock: children keep it, so that no other instance starts before the last of them is gone.</param>
internal sealed class Supervisor(Settings settings, string? mountPoint, StopSignals signals, int hold)
{
    private static readonly TimeSpan OpenFilesPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    // A plugin may take so long to end.
    private static readonly TimeSpan TransferStopPatience = TimeSpan.FromSeconds(20);

    private readonly List<(HeldMount Mount, SupervisedChild Child, Task<ChildEnd> Run)> _mounts = [];

    /// <summary>Runs until a signal, until every mount is gone, or until something cannot go on; returns the exit code.</summary>
    /// <param name="started">Called once, when everything works.</param>
    public async Task<int> RunAsync(Action? started)
    {
        var held = new List<HeldMount>();
        var code = ExitCode.Failed;
        SupervisedChild? transfer = null;
        Task<ChildEnd>? transferRun = null;
        var starting = Task.CompletedTask;
        try
        {
            foreach (var mount in settings.Mounts)
                held.Add(HeldMount.Open(mount));
            foreach (var mount in held)
            {
                var child = new SupervisedChild($"mount {mount.Settings.Name}", () => ChildProcess.Start(MountChild.Command(settings, mount), mount.Device, mount.Directory, mount.Doorbell, hold), RestartRule.ForMount());
                _mounts.Add((mount, child, child.RunAsync()));
            }
            transfer = new SupervisedChild("transfer", () => ChildProcess.Start(TransferChild.Command(settings, mountPoint, held), [.. held.SelectMany(m => new[] { m.Doorbell, m.Directory }), hold]), RestartRule.ForTransfer());
            transferRun = transfer.RunAsync();
            starting = AnnounceAsync(transfer, started);
            return code = await UntilEndAsync(transfer, transferRun);
        }
        finally
        {
            // The dead ones first: programs may wait in them for ever. The others side by side, each has its own patience.
            await Task.WhenAll(_mounts.OrderByDescending(m => m.Run.IsCompleted).Select(m => EndMountAsync(m.Mount, m.Child, m.Run)).ToList());
            // Also what was mounted before one of them failed.
            foreach (var mount in held.Where(h => !_mounts.Exists(m => m.Mount == h)))
                mount.Unmount();
            if (transfer is not null && transferRun is not null)
            {
                if (!await transfer.StopAsync(TransferStopPatience))
                    Journal.Warn("transfer", $"did not stop within {TransferStopPatience.TotalSeconds:0} s and was killed; what it had not finished is done again at the next start");
                await transferRun;
                transfer.Dispose();
            }
            foreach (var (mount, _, _) in _mounts)
                MountChild.Clear(settings, mount);
            // Whatever was never ready has ended above, so this has an end too.
            await starting;
            held.ForEach(m => m.Dispose());
            Journal.Info("run", code is ExitCode.Ok ? "stopped" : "stopped after a failure, see above");
        }
    }

    private async Task AnnounceAsync(SupervisedChild transfer, Action? started)
    {
        var ready = await Task.WhenAll(_mounts.Select(m => m.Child.Ready).Append(transfer.Ready));
        if (!ready.All(r => r))
            return;
        foreach (var (mount, _, _) in _mounts)
            Journal.Info($"mount {mount.Settings.Name}", $"mounted at {mount.Settings.At}");
        Instance.Announce(settings, started);
    }

    private async Task<int> UntilEndAsync(SupervisedChild transfer, Task<ChildEnd> transferRun)
    {
        var living = _mounts.ToList();
        while (true)
        {
            var signal = signals.ComeAsync();
            var ended = await Task.WhenAny([signal, transferRun, .. living.Select(m => (Task)m.Run)]);
            if (ended == transferRun)
                return await transferRun is ChildEnd.Refused ? transfer.LastCode : ExitCode.Failed;
            if (ended != signal)
            {
                var (mount, child, run) = living.Find(m => m.Run == ended);
                living.RemoveAll(m => m.Run == ended);
                if (await run is var end and not ChildEnd.Finished)
                    return end is ChildEnd.Refused ? child.LastCode : ExitCode.Failed;
                Journal.Info($"mount {mount.Settings.Name}", $"{mount.Settings.At} was unmounted from outside");
                if (living.Count is 0)
                    return ExitCode.Ok;
            }
            else if (signals.Take() is StopSignal.Stop)
                return ExitCode.Ok;
            else
                await ReloadAsync(transfer);
        }
    }

    private async Task ReloadAsync(SupervisedChild transfer)
    {
        if (Instance.Reload(settings, mountPoint) is not { } changed)
            return;
        if (!changed.Mounts.SequenceEqual(settings.Mounts))
            Journal.Warn("run", "what the configuration says of mounts has changed; that comes into force when 'hikyaku run' is started anew. Routes are changed now");
        await transfer.ReplaceAsync(TransferStopPatience);
    }

    private static async Task EndMountAsync(HeldMount mount, SupervisedChild child, Task<ChildEnd> run)
    {
        var where = $"mount {mount.Settings.Name}";
        child.ExpectEnd();
        if (run.IsCompleted)
        {
            // Its process is gone for good: programs that wait for an answer must get an error.
            mount.Abort();
            child.Dispose();
            return;
        }
        var free = mount.Unmount();
        // The kernel tells the child of the end of the mount, once nobody uses it.
        if (await Task.WhenAny(run, Task.Delay(free ? StopPatience : OpenFilesPatience)) != run)
        {
            Journal.Warn(where, $"files below {mount.Settings.At} stayed open for {OpenFilesPatience.TotalSeconds:0} s; programs that hold them now get an error when they write (not those that write to files of 'passthrough': the next instance carries that)");
            await child.StopAsync(StopPatience);
            mount.Abort();
        }
        await run;
        child.Dispose();
    }
}
