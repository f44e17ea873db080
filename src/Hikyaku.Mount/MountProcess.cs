using Hikyaku.Fuse;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>How serving a mount ended.</summary>
public enum MountEnd
{
    /// <summary>Somebody unmounted it.</summary>
    Unmounted,

    /// <summary>The connection was aborted: programs get errors, and the mount point is still to be unmounted.</summary>
    Aborted,

    /// <summary>Asked to stop; a successor may go on.</summary>
    Cancelled,
}

/// <summary>The process that serves one mount. It may be killed at any instant; a successor with the same options goes on.</summary>
public static unsafe class MountProcess
{
    private const int BlockedRetryMs = 20;

    /// <summary>
    /// Serves the mount until it is unmounted or aborted, or until cancelled; after a cancellation one more request may be taken, as
    /// the thread that waits in the kernel cannot be called back, so the process should end then.
    /// </summary>
    /// <exception cref="MountException">The state or the doorbell cannot be used.</exception>
    /// <exception cref="LogException">The log cannot be used.</exception>
    /// <exception cref="FuseException">The device cannot be used, or the kernel cannot send requests again.</exception>
    public static MountEnd Run(MountOptions options, CancellationToken cancellation)
    {
        var report = options.Report ?? (static _ => { });
        var negotiation = FuseNegotiation.Parse(options.Negotiation);
        var device = FuseDevice.FromDescriptor(options.DeviceFd);
        var storage = new FileLogStorage(options.LogDirectory);
        var keeps = options.Keep == Keep.All;
        MountState? state = null;
        var log = LogWriter.Open(storage, options.Log with { Floor = () => Floor(state, keeps), Report = options.Log.Report ?? report });
        Libc.MakeDirectory(options.StateDirectory);
        var path = Path.Combine(options.StateDirectory, "state");
        state = MountState.TryOpen(path, report);
        var goesOn = state is not null && (options.Incarnation == 0 ? !options.Fresh : state.Header->Incarnation == options.Incarnation);
        var doorbell = options.DoorbellPath is null || options.DoorbellFd < 0 ? null : new Doorbell(options.DoorbellPath, options.DoorbellFd);
        options.Counters.Log = log;
        options.Counters.CommitLevel = options.CommitLevel;

        var serving = new Serving(device, log, storage, doorbell, options, report);
        if (!options.CarriesUnmounted)
            Account.Remove(options.StateDirectory);
        if (!goesOn || state is null)
            state = serving.Begin(path, state);
        var end = serving.Serve(state, goesOn, negotiation, cancellation);
        // A thread may still be on its way back from the kernel and use all of this; the process is to end anyway.
        if (end == MountEnd.Cancelled)
            return end;
        options.Counters.Log = null;
        log.Dispose();
        state.Dispose();
        doorbell?.Dispose();
        return end;
    }

    private static ulong Floor(MountState? state, bool keeps) =>
        state is null ? 1 : Math.Min(keeps ? Volatile.Read(ref state.Header->Kept) : ulong.MaxValue, Volatile.Read(ref state.Header->Answered) + 1);

    /// <summary>What both the first process of a mount and its successors do.</summary>
    private sealed class Serving(FuseDevice device, LogWriter log, ILogStorage storage, Doorbell? doorbell, MountOptions options, Action<string> report)
    {
        /// <summary>Brings an earlier mount to its end and begins a new one.</summary>
        public MountState Begin(string path, MountState? old)
        {
            // Microseconds of now: above every number given out before, even if the state was lost.
            var nextHandle = (ulong)(Libc.Now() / 1000);
            if (old is not null)
            {
                nextHandle = Math.Max(nextHandle, old.Header->NextHandle);
                old.Header->Kept = Math.Min(old.Header->Kept, log.NextSequence);
                using var underneath = new Underneath(options.DirectoryFd, new NodeTable(old));
                using var account = options.CarriesUnmounted ? Account.OpenLast(options.StateDirectory, Device(), report) : null;
                using var keeper = new Keeper(storage, old, options.Keep, options.Counters, report, account);
                using var tree = Tree(old, underneath, keeper, account, null, out _);
                tree.Finish(storage, report);
            }
            if (old is null)
                return MountState.Create(path, options.Incarnation, nextHandle, log.NextSequence);
            old.Renew(options.Incarnation, nextHandle, log.NextSequence);
            return old;
        }

        // Without room for a new one the last goes on: a full disk is no reason not to carry what waits.
        private Account? BeginAccount(ulong device, out Account? before)
        {
            try
            {
                return Account.Begin(options.StateDirectory, device, report, out before);
            }
            catch (MountException e)
            {
                report($"{e.Message}; what was written while nothing was mounted is carried at a later mount");
                before = null;
                var last = Account.OpenLast(options.StateDirectory, device, report);
                last?.GoOn();
                return last;
            }
        }

        private ulong Device() => Underneath.StatTop(options.DirectoryFd, out var top) < 0 ? 0 : NodeTable.Device(top);

        public MountEnd Serve(MountState state, bool goesOn, FuseNegotiation negotiation, CancellationToken cancellation)
        {
            var nodes = new NodeTable(state);
            if (Underneath.StatTop(options.DirectoryFd, out var top) is var error and < 0)
                throw new MountException($"the directory under the mount '{options.Name}' cannot be read: {Errno.Text(-error)}");
            if (!nodes.PlantRoot(top))
                throw new MountException($"no room on the disk for the state of the mount '{options.Name}'");
            var underneath = new Underneath(options.DirectoryFd, nodes);
            Account? before = null;
            var account = !options.CarriesUnmounted ? null
                : !goesOn ? BeginAccount(NodeTable.Device(top), out before)
                : Account.OpenLast(options.StateDirectory, NodeTable.Device(top), report) ?? Account.Begin(options.StateDirectory, NodeTable.Device(top), report, out before);
            if (goesOn && account is { IsComplete: false })
                before ??= Account.OpenBefore(options.StateDirectory, NodeTable.Device(top), report);
            var keeper = new Keeper(storage, state, options.Keep, options.Counters, report, account);
            var tree = Tree(state, underneath, keeper, account, before, out var committer);
            if (goesOn)
                tree.Restore(storage);
            else
                tree.Begin(storage);
            tree.RemoveLeftovers();
            keeper.Start();
            committer.Start();
            tree.BeginScan();
            // Also when the state was of no use: programs may wait for answers that nobody but us will give.
            if (goesOn || negotiation.CanResend)
                device.SendResend();
            options.Ready?.Invoke();

            var session = new FuseSession(device, negotiation, tree);
            var end = Loop(session, tree, cancellation);
            keeper.Stop();
            committer.Stop();
            if (end == MountEnd.Cancelled)
                return end;
            session.Dispose();
            tree.EndAccount();
            tree.Dispose();
            keeper.Dispose();
            underneath.Dispose();
            account?.Dispose();
            before?.Dispose();
            return end;
        }

        private MountedDirectory Tree(MountState state, Underneath underneath, Keeper keeper, Account? account, Account? before, out Committer committer)
        {
            MountedDirectory? tree = null;
            var interval = options.CommitLevel switch
            {
                CommitLevel.Interval => options.CommitInterval,
                // Nobody waits for what is not a write, such as the last close; it is committed all the same.
                CommitLevel.Strict => TimeSpan.FromSeconds(1),
                _ => TimeSpan.Zero,
            };
            committer = new Committer(device, log, state, interval, () => tree?.NoteDelivered(), report);
            return tree = new MountedDirectory(
                device, log, state, underneath, new HandleTable(state, underneath.Nodes), keeper, committer, doorbell, storage, options, account, before);
        }

        // The thread that waits in the kernel cannot be called back, so it is one that may be left behind.
        private MountEnd Loop(FuseSession session, MountedDirectory tree, CancellationToken cancellation)
        {
            var end = new TaskCompletionSource<MountEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
            var reader = new Thread(() =>
            {
                try
                {
                    end.TrySetResult(ReadAll(session, tree, cancellation));
                }
                catch (Exception e)
                {
                    end.TrySetException(e);
                }
            }) { Name = "mount", IsBackground = true };
            reader.Start();
            using var registration = cancellation.Register(() => end.TrySetResult(MountEnd.Cancelled));
            return end.Task.GetAwaiter().GetResult();
        }

        private MountEnd ReadAll(FuseSession session, MountedDirectory tree, CancellationToken cancellation)
        {
            // A predecessor may have died while it did not wait.
            device.SetWaiting(true);
            for (var waits = true; !cancellation.IsCancellationRequested;)
            {
                if (tree.HasBlocked)
                    tree.RetryBlocked();
                var mayWait = !tree.HasBlocked && !tree.Follows;
                if (waits != mayWait)
                    device.SetWaiting(waits = mayWait);
                if (tree.Follows)
                {
                    if (!tree.Follow(tree.HasBlocked ? BlockedRetryMs : -1))
                        continue;
                }
                else if (!waits)
                {
                    var waiting = new Libc.PollFd { Descriptor = device.Descriptor, Events = Libc.POLLIN };
                    var ready = Libc.Poll(&waiting, 1, BlockedRetryMs);
                    if (ready == 0)
                        tree.NoteAnswered();
                    if (ready <= 0)
                        continue;
                }
                switch (session.RunOne())
                {
                    // The kernel sends no more RELEASE.
                    case FuseReadResult.Unmounted:
                        tree.CloseAll(isAborted: false, report);
                        return MountEnd.Unmounted;
                    case FuseReadResult.Aborted:
                        tree.CloseAll(isAborted: true, report);
                        return MountEnd.Aborted;
                    case FuseReadResult.Closed:
                        return MountEnd.Unmounted;
                    default:
                        continue;
                }
            }
            return MountEnd.Cancelled;
        }
    }
}
