using System.Globalization;
using Hikyaku.Fuse;
using Hikyaku.Supervision;

namespace Hikyaku.Commands;

/// <summary>The folder of <c>hikyaku try</c>: two configurations, two state directories, a mount point, an output.</summary>
internal sealed class TryFolder(string path)
{
    public string MountPoint => Path.Join(path, "mnt");

    public string Output => Path.Join(path, "out", "all.log");

    public string MountFile => Path.Join(path, "mount.yaml");

    public string CollectorFile => Path.Join(path, "collector.yaml");

    private string MountState => Path.Join(path, "state-mount");

    private string CollectorState => Path.Join(path, "state-collector");

    /// <exception cref="CommandException">The folder is in use, or is not ours.</exception>
    public void Create(int port)
    {
        if (Directory.Exists(path))
            TakeOver();
        try
        {
            Directory.CreateDirectory(MountPoint);
            Directory.CreateDirectory(Path.GetDirectoryName(Output)!);
            File.WriteAllText(MountFile, string.Create(CultureInfo.InvariantCulture, $"""
                state: "{MountState}"
                mounts:
                  try: {"{"} at: "{MountPoint}", quota: 64MiB {"}"}
                routes:
                  - to:
                      forward: {"{"} servers: ["127.0.0.1:{port}"] {"}"}

                """));
            // The time comes first, so that an arriving line tells its own age.
            File.WriteAllText(CollectorFile, string.Create(CultureInfo.InvariantCulture, $"""
                state: "{CollectorState}"
                receive:
                  forward: {"{"} listen: "127.0.0.1:{port}" {"}"}
                  quota: 64MiB
                routes:
                  - to:
                      file: {"{"} path: "{Output}", format: "%T %H:%F %L", time: "%s.%-" {"}"}

                """));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Missing, $"cannot write to {path}: {e.Message}; give another folder with --folder");
        }
    }

    public void Remove()
    {
        if (MountTable.Find(MountPoint) is not null)
            throw new CommandException(ExitCode.Failed, $"{MountPoint} is still mounted; unmount it (umount -l {MountPoint}) and remove {path}");
        Directory.Delete(path, recursive: true);
    }

    // What an earlier one left that was killed.
    private void TakeOver()
    {
        // In /tmp anybody may have made it, to have us remove what they like.
        if (!IsOurs())
            throw new CommandException(ExitCode.Usage, $"{path} belongs to somebody else; give another folder with --folder");
        if (!File.Exists(MountFile) || !File.Exists(CollectorFile))
            throw new CommandException(ExitCode.Usage, $"{path} exists and is not of 'hikyaku try'; give another folder with --folder");
        if (StateLock.Holder(MountState) is { } pid || StateLock.Holder(CollectorState) is { } other && (pid = other) > 0)
            throw new CommandException(ExitCode.Missing, string.Create(CultureInfo.InvariantCulture, $"{path} is in use (process {pid}): stop that one, or give another folder with --folder"));
        if (MountTable.Find(MountPoint) is { IsFuse: true })
            FuseMount.UnmountLazily(MountPoint);
        Directory.Delete(path, recursive: true);
    }

    private unsafe bool IsOurs()
    {
        const int StatXUidOffset = 20;
        var result = stackalloc byte[Libc.StatXBytes];
        return Libc.StatX(Libc.AT_FDCWD, path, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_UID, result) is 0 && *(uint*)(result + StatXUidOffset) == Libc.GetEUid();
    }
}
