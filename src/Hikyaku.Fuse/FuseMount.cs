using System.Globalization;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>Mounts and unmounts: by mount(2) as root, by fusermount3 otherwise.</summary>
public static class FuseMount
{
    /// <summary>As `mount` and `df -T` show it.</summary>
    public const string Type = "fuse." + Subtype;

    internal const string Subtype = "hikyaku";

    /// <summary>
    /// Mounts on a directory. The first request waiting on the device is INIT (<see cref="FuseNegotiation.Answer"/>). Everybody may
    /// use the mount when root makes it, or when /etc/fuse.conf has user_allow_other; otherwise only its user.
    /// </summary>
    /// <param name="mountPoint">An existing directory.</param>
    /// <param name="source">The name that `df` shows.</param>
    /// <param name="noExec">No program may be started from it.</param>
    /// <exception cref="FuseException">See <see cref="FuseFailure"/>.</exception>
    public static FuseDevice Mount(string mountPoint, string source, bool noExec = false)
    {
        var path = CheckMountPoint(mountPoint);
        if (Libc.GetEUid() != 0)
            return Fusermount.Mount(path, source, OthersMayBeAllowed(), noExec);

        var device = FuseDevice.Open();
        var options = string.Create(CultureInfo.InvariantCulture,
            $"fd={device.Descriptor},rootmode=40000,user_id=0,group_id={Libc.GetEGid()},default_permissions,allow_other");
        if (Libc.Mount(source, path, Type, Libc.MS_NOSUID | Libc.MS_NODEV | (noExec ? Libc.MS_NOEXEC : 0), options) == 0)
            return device;
        var errno = Marshal.GetLastPInvokeError();
        device.Dispose();
        throw errno switch
        {
            Errno.EPERM or Errno.EACCES => new FuseException(FuseFailure.NoPrivilege,
                $"not allowed to mount on {path}: root without CAP_SYS_ADMIN (a container?); give it that capability and /dev/fuse"),
            Errno.ENODEV => new FuseException(FuseFailure.NoDevice, $"cannot mount on {path}: the kernel has no fuse (modprobe fuse)"),
            _ => new FuseException(FuseFailure.Other, $"cannot mount on {path}: {Errno.Text(errno)}"),
        };
    }

    /// <summary>Unmounts what is unused; what was written before stays readable below.</summary>
    /// <exception cref="FuseException"><see cref="FuseFailure.Busy"/> while files or working directories below are open.</exception>
    public static void Unmount(string mountPoint) => Unmount(mountPoint, lazily: false);

    /// <summary>Takes the mount out of the tree at once; it ends when the last file below it is closed, or with the device.</summary>
    public static void UnmountLazily(string mountPoint) => Unmount(mountPoint, lazily: true);

    private static void Unmount(string mountPoint, bool lazily)
    {
        // Only ever what is of our kind: a wrong path must not unmount a disk.
        var entry = MountTable.Find(mountPoint);
        if (entry is not { IsFuse: true })
            throw new FuseException(FuseFailure.NotMounted, $"no FUSE file system is mounted on {mountPoint}");
        if (Libc.GetEUid() != 0)
        {
            Fusermount.Unmount(entry.MountPoint, lazily);
            return;
        }
        if (Libc.Umount2(entry.MountPoint, Libc.UMOUNT_NOFOLLOW | (lazily ? Libc.MNT_DETACH : 0)) == 0)
            return;
        throw Marshal.GetLastPInvokeError() switch
        {
            Errno.EBUSY => StillBusy(entry.MountPoint),
            Errno.EINVAL => new FuseException(FuseFailure.NotMounted, $"nothing is mounted on {entry.MountPoint} any more"),
            Errno.EPERM => new FuseException(FuseFailure.NoPrivilege, $"not allowed to unmount {entry.MountPoint}: CAP_SYS_ADMIN is missing"),
            var errno => new FuseException(FuseFailure.Other, $"cannot unmount {entry.MountPoint}: {Errno.Text(errno)}"),
        };
    }

    internal static FuseException StillBusy(string path) => new(FuseFailure.Busy,
        $"{path} is in use: a program has a file or its working directory there (fuser -vm {path} names it); stop it, or unmount lazily");

    private static string CheckMountPoint(string mountPoint)
    {
        var path = MountTable.Resolve(mountPoint);
        if (MountTable.Find(path) is { IsFuse: true } entry)
            throw new FuseException(FuseFailure.AlreadyMounted, MountTable.IsDead(entry)
                ? $"a dead mount of '{entry.Source}' ({entry.Type}) is left on {path}: remove it with `umount -l {path}` (or fusermount3 -uz)"
                : $"'{entry.Source}' ({entry.Type}) is already mounted on {path}: stop the program behind it, or unmount it, first");
        if (Directory.Exists(path))
            return path;
        throw File.Exists(path)
            ? new FuseException(FuseFailure.NotADirectory, $"the mount point {path} is not a directory")
            : new FuseException(FuseFailure.MountPointMissing, $"the mount point {path} does not exist, or cannot be reached: create it first");
    }

    // Without this line in fuse.conf, fusermount3 refuses the option instead of leaving it out.
    private static bool OthersMayBeAllowed()
    {
        try
        {
            return File.ReadLines("/etc/fuse.conf").Any(line => string.Equals(line.Trim(), "user_allow_other", StringComparison.Ordinal));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
