using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>What a mount leaves in its directory when it ends: second names of files whose bytes are not delivered yet.</summary>
public static unsafe class Leftovers
{
    /// <summary>Removes those that are not needed any more. To be called when neither the mount's process nor its reader is running.</summary>
    /// <param name="options">As the mount was given them; the device is not used.</param>
    /// <exception cref="MountException">The state cannot be used.</exception>
    /// <exception cref="LogException">The log or the cursors cannot be used.</exception>
    public static void Remove(MountOptions options)
    {
        using var state = MountState.TryOpen(Path.Combine(options.StateDirectory, "state"));
        if (state is null)
            return;
        var backings = new BackingTable(state);
        foreach (var slot in backings.Unclaimed())
            _ = backings.Claim(slot, slot, slot);
        if (backings.IsEmpty)
            return;
        var storage = new FileLogStorage(options.LogDirectory);
        using var log = LogWriter.Open(storage, options.Log with { Floor = () => 1 });
        using var delivery = new Delivery(log, storage, backings, options.DirectoryFd, options.Keep == Keep.All, options.Counters);
        delivery.Update();
        delivery.FindSaved(HiddenName.List(options.DirectoryFd), log.NextSequence - 1);
        foreach (var (_, backing) in backings.All)
            // Its connection is gone, and with it what the kernel knew.
            backing.State->KernelId = 0;
        delivery.Reclaim();
        foreach (var (_, backing) in backings.All)
        {
            if (!delivery.IsOver(backing))
                continue;
            delivery.RemoveNames(backing);
            backings.Free(backing);
        }
    }
}
