using System.Runtime.InteropServices;
using Hikyaku.Commands;
using Hikyaku.Config;
using Hikyaku.Fuse;

namespace Hikyaku.Supervision;

/// <summary>What of a mount must outlive its process: the device, the directory underneath, the doorbell, and what was agreed with the kernel.</summary>
internal sealed class HeldMount : IDisposable
{
    // The name that df shows.
    private const string Source = "hikyaku";

    private readonly FuseDevice _device;
    private readonly string? _number;
    private int _directory;
    private int _doorbell;

    private HeldMount(MountSettings settings, int directory, FuseDevice device, FuseNegotiation negotiation, int doorbell) =>
        (Settings, _directory, _device, Negotiation, _doorbell, _number) = (settings, directory, device, negotiation, doorbell, MountTable.Find(settings.At)?.Device);

    public MountSettings Settings { get; }

    public FuseNegotiation Negotiation { get; }

    /// <summary>Tells this mount from every earlier one of the same name.</summary>
    public long Incarnation { get; } = TimeProvider.System.GetUtcNow().Ticks;

    public int Device => _device.Descriptor;

    public int Directory => _directory;

    public int Doorbell => _doorbell;

    /// <summary>Mounts; afterwards requests wait in the kernel for a mount child.</summary>
    /// <exception cref="FuseException">It cannot be mounted; nothing is left mounted.</exception>
    public static HeldMount Open(MountSettings settings)
    {
        RemoveDead(settings);
        // Once mounted, the path leads to us; what lies underneath is reached only through this descriptor.
        var directory = Libc.Open(settings.At, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (directory < 0)
            throw new CommandException(ExitCode.Missing, $"cannot mount {settings.Name} on {settings.At}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}; create the directory first (mkdir -p {settings.At})");
        FuseDevice? device = null;
        try
        {
            device = FuseMount.Mount(settings.At, Source, settings.NoExec);
            var negotiation = FuseNegotiation.Answer(device, settings.Passthrough.Count > 0);
            var doorbell = Libc.EventFd(0, Libc.EFD_CLOEXEC);
            return new HeldMount(settings, directory, device, negotiation, doorbell);
        }
        catch (FuseException)
        {
            device?.Dispose();
            if (device is not null)
                DetachQuietly(settings.At);
            _ = Libc.Close(directory);
            throw;
        }
    }

    /// <summary>Takes the mount out of the tree. False when programs still use it: then it is detached, and ends with the last of them.</summary>
    public bool Unmount()
    {
        if (!IsOurs)
            return true;
        try
        {
            FuseMount.Unmount(Settings.At);
            return true;
        }
        catch (FuseException e) when (e.Failure is FuseFailure.NotMounted)
        {
            return true;
        }
        catch (FuseException e)
        {
            Journal.Warn($"mount {Settings.Name}", e.Failure is FuseFailure.Busy
                ? $"{Settings.At} is still in use (fuser -vm {Settings.At} names the programs); it is taken out of the tree and ends when they close their files"
                : e.Message);
            Detach();
            return false;
        }
    }

    /// <summary>Closes the device: when no child holds it any more, the kernel gives every waiting program an error.</summary>
    public void Abort()
    {
        _device.Dispose();
        Detach();
    }

    public void Dispose()
    {
        _device.Dispose();
        Close(ref _directory);
        Close(ref _doorbell);
    }

    // Somebody may have unmounted ours meanwhile and mounted something else there.
    private bool IsOurs => MountTable.Find(Settings.At) is { } entry && entry.Device == _number;

    private void Detach()
    {
        if (IsOurs)
            DetachQuietly(Settings.At);
    }

    private static void RemoveDead(MountSettings settings)
    {
        while (MountTable.Find(settings.At) is { Type: FuseMount.Type } entry && MountTable.IsDead(entry))
        {
            Journal.Warn($"mount {settings.Name}", $"a dead mount was left at {settings.At} by an instance that was killed; removing it");
            FuseMount.UnmountLazily(settings.At);
        }
    }

    private static void DetachQuietly(string at)
    {
        try
        {
            if (MountTable.Find(at) is { Type: FuseMount.Type })
                FuseMount.UnmountLazily(at);
        }
        catch (FuseException e) when (e.Failure is FuseFailure.NotMounted)
        {
        }
        catch (FuseException e)
        {
            Journal.Error("mount", e.Message);
        }
    }

    private static void Close(ref int fd)
    {
        if (fd >= 0)
            _ = Libc.Close(fd);
        fd = -1;
    }
}
