using System.Globalization;
using System.Text;
using Hikyaku.Commands;
using Hikyaku.Config;

namespace Hikyaku.Supervision;

/// <summary>One running configuration: its hold on the state directory, its signals, and either a supervisor or, with nothing mounted, the transfer itself.</summary>
internal static class Instance
{
    /// <summary>In the journal once everything works.</summary>
    public const string RunningWords = "run: running, process ";

    /// <summary>Runs in the foreground until a signal; returns the exit code.</summary>
    /// <param name="mountPoint">As given to <see cref="ConfigurationFile.Load"/>.</param>
    /// <param name="started">Called once, when everything works.</param>
    public static int Run(Settings settings, string? mountPoint, Action? started)
    {
        using var hold = StateLock.Take(settings.State);
        InstancePaths.Create(settings.State);
        Accept(settings);
        foreach (var notice in settings.Notices)
            Journal.Warn("configuration", notice);
        using var signals = new StopSignals();
        return settings.Mounts.Count > 0
            ? new Supervisor(settings, mountPoint, signals, hold.Descriptor).RunAsync(started).GetAwaiter().GetResult()
            : RunTransferAsync(settings, signals, started).GetAwaiter().GetResult();
    }

    /// <summary>The configuration as it is now, or null, after saying why, when it cannot be used.</summary>
    public static Settings? Reload(Settings running, string? mountPoint)
    {
        try
        {
            var settings = ConfigurationFile.Load(running.File, mountPoint);
            if (settings.State != running.State)
                throw new ConfigurationException($"{running.File}: the state directory cannot change while running (now {running.State})");
            Accept(settings);
            Journal.Info("configuration", $"{running.File} read again");
            return settings;
        }
        // Whatever a text leads to, also a mistake of ours: it must not end what runs.
        catch (Exception e)
        {
            foreach (var message in (e as ConfigurationException)?.Messages ?? [e.Message])
                Journal.Error("configuration", message);
            Journal.Error("configuration", $"{running.File} cannot be used; going on with the configuration from before");
            return null;
        }
    }

    /// <summary>Says that everything works, to people and to whoever waits for it.</summary>
    public static void Announce(Settings settings, Action? started)
    {
        Journal.Info("run", string.Create(CultureInfo.InvariantCulture, $"running, process {Environment.ProcessId}; state in {settings.State}"));
        started?.Invoke();
    }

    // Children read what was checked, all of it or the one before: never the file itself, which may be in the middle of an edit.
    private static void Accept(Settings settings)
    {
        var accepted = InstancePaths.Accepted(settings.State);
        var text = Encoding.UTF8.GetBytes(settings.Text);
        // On a full disk there is no room for a second one, and only a running instance makes room.
        if (File.Exists(accepted) && File.ReadAllBytes(accepted).AsSpan().SequenceEqual(text))
            return;
        using (var file = new FileStream(accepted + ".new", new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            file.Write(text);
        File.Move(accepted + ".new", accepted, overwrite: true);
    }

    private static async Task<int> RunTransferAsync(Settings settings, StopSignals signals, Action? started)
    {
        while (true)
        {
            var current = settings;
            using var stop = new CancellationTokenSource();
            var transfer = TransferChild.RunAsync(current, TransferChild.NoMounts, () => Announce(current, started), stop.Token);
            Settings? next = null;
            while (next is null)
            {
                var signal = signals.ComeAsync();
                if (await Task.WhenAny(transfer, signal) == transfer)
                    return await transfer;
                if (signals.Take() is StopSignal.Stop)
                    break;
                next = Reload(current, null);
            }
            await stop.CancelAsync();
            var code = await transfer;
            if (next is null || code is not ExitCode.Ok)
            {
                Journal.Info("run", "stopped");
                return code;
            }
            (settings, started) = (next, null);
        }
    }
}
