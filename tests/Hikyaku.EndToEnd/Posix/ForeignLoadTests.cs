using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd.Posix;

/// <summary>Programs made to torment file systems, which check themselves what they read back.</summary>
public sealed class ForeignLoadTests
{
    // All that work on files below a given path; each shows errors of its own making in the exit code.
    private static readonly string[] Stressors =
    [
        "access", "chdir", "chmod", "chown", "dentry", "dir", "dirdeep", "dirmany", "fallocate", "fcntl", "filename", "flock", "fpunch",
        "fsize", "fstat", "getdent", "hdd", "inotify", "io", "iomix", "lease", "link", "locka", "lockf", "lockofd", "mknod", "msync",
        "open", "readahead", "rename", "revio", "seek", "sendfile", "splice", "symlink", "sync-file", "touch", "utime",
    ];

    [RootTheory]
    [InlineData("--rw=write --bs=4k --ioengine=psync")]
    [InlineData("--rw=randwrite --bs=3k --ioengine=pvsync --fsync=500")]
    [InlineData("--rw=randrw --bs=512-64k --bs_unaligned --ioengine=sync")]
    [InlineData("--rw=write --bs=100-8k --bs_unaligned --file_append=1 --ioengine=sync")]
    [InlineData("--rw=randrw --bs=4k --ioengine=mmap")]
    public void What_fio_writes_it_reads_back(string options)
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 4 GiB").Open();
        var fio = scene.Shell($"cd {scene.Folder} && exec fio --name=load --directory={street.MountPoint} --size=4m --numjobs=3 --verify=crc32c --verify_fatal=1 --do_verify=1 {options}");
        Assert.True(fio.ExitCode is 0, scene.Report());
        Assert.DoesNotContain("verify:", fio.Said, StringComparison.Ordinal);
        AssertUnharmed(street);
    }

    [RootFact]
    public void Stress_ng_finds_nothing_wrong()
    {
        using var scene = new Scene(200);
        // More than the quota is written, and no route wants it: it must leave the log by itself, and nobody is refused meanwhile.
        var street = new Street(scene, "quota: 128 MiB\n    when_full: block", routeLines: "match: fresh.log").Open();
        var folder = Path.Join(street.MountPoint, "stress");
        Directory.CreateDirectory(folder);
        // It gives up being root for some of them.
        scene.ShellOk($"chmod 777 {folder}");
        var all = string.Join(' ', Stressors.Select(s => $"--{s} 1"));
        var stress = scene.Start("/bin/sh", "-c", $"exec stress-ng --temp-path {folder} --verify --timeout 8s --hdd-bytes 4M --fallocate-bytes 8M --iomix-bytes 8M --revio-bytes 8M --readahead-bytes 8M --seek-size 8M --sync-file-bytes 8M {all}");
        stress.WaitForExit(TimeSpan.FromSeconds(120));
        Assert.True(stress.ExitCode is 0, scene.Report());
        Assert.DoesNotContain(" fail: ", stress.Said, StringComparison.Ordinal);
        scene.ShellOk($"rm -rf {folder}");
        AssertUnharmed(street);
    }

    private static void AssertUnharmed(Street street)
    {
        Assert.DoesNotContain("was ended by", street.Agent.Errors, StringComparison.Ordinal);
        // All that went before is carried too, so this may take its time.
        var line = $"fresh {Guid.NewGuid():N}";
        street.Echo(line, "fresh.log");
        Eventually.Is(() => street.Scene.Shell($"grep -aq '{line}' {street.Output}").ExitCode is 0, "the fresh line", street.Scene.Report, TimeSpan.FromSeconds(90));
        street.CloseCleanly();
    }
}
