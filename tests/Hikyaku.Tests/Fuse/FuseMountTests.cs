using System.Diagnostics;
using Hikyaku.Fuse;
using Xunit;

namespace Hikyaku.Tests.Fuse;

/// <summary>These need /dev/fuse and the right to mount; where that is missing they fail with the message a user would get.</summary>
public sealed class FuseMountTests
{
    [Fact]
    public void Mounted_directory_is_written_listed_read_and_unmounted()
    {
        using var mount = new LiveMount(new MemoryFileSystem());
        var entry = MountTable.Find(mount.Path);
        Assert.Equal(("fuse.hikyaku", "test, a"), (entry!.Type, entry.Source));

        var file = Path.Join(mount.Path, "access.log");
        var (listed, first, second) = LiveMount.Within(() =>
        {
            File.AppendAllText(file, "one\n");
            File.AppendAllText(file, "two\n");
            var text = File.ReadAllText(file);
            File.WriteAllText(file, "anew");
            return (Shell($"ls '{mount.Path}'"), text, File.ReadAllText(file));
        });
        Assert.Equal("access.log\n", listed);
        Assert.Equal("one\ntwo\n", first);
        Assert.Equal("anew", second);
        Assert.Contains("test, a", LiveMount.Within(() => Shell($"df '{mount.Path}'")), StringComparison.Ordinal);

        FuseMount.Unmount(mount.Path);
        Assert.Equal(FuseReadResult.Unmounted, mount.Ended());
        Assert.Null(MountTable.Find(mount.Path));
    }

    [Fact]
    public void Fusermount_mounts_and_unmounts_too()
    {
        using var mount = new LiveMount(new MemoryFileSystem(), path => Fusermount.Mount(path, "a, b\\c", allowOther: true));
        var entry = MountTable.Find(mount.Path);
        Assert.Equal(("fuse.hikyaku", "a, b\\c"), (entry!.Type, entry.Source));
        Assert.Equal("x", LiveMount.Within(() =>
        {
            File.WriteAllText(Path.Join(mount.Path, "f"), "x");
            return File.ReadAllText(Path.Join(mount.Path, "f"));
        }));
        Fusermount.Unmount(mount.Path, lazily: false);
        Assert.Equal(FuseReadResult.Unmounted, mount.Ended());
        Assert.Null(MountTable.Find(mount.Path));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_mount_with_noexec_starts_no_programs(bool byFusermount)
    {
        using var mount = new LiveMount(new MemoryFileSystem(), path =>
            byFusermount ? Fusermount.Mount(path, "x", allowOther: true, noExec: true) : FuseMount.Mount(path, "x", noExec: true));
        var name = Path.GetFileName(mount.Path).Replace(" ", "\\040", StringComparison.Ordinal);
        Assert.Contains("noexec", File.ReadLines("/proc/self/mounts").Single(line => line.Contains(name, StringComparison.Ordinal)).Split(' ')[3].Split(','));
    }

    [Fact]
    public void What_fusermount_says_reaches_the_user()
    {
        var e = Assert.Throws<FuseException>(() => Fusermount.Mount("/nowhere/at/all", "x", allowOther: false));
        Assert.Contains("/nowhere/at/all", e.Message, StringComparison.Ordinal);
        Assert.Contains("fusermount3", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_write_is_one_request_up_to_the_negotiated_size()
    {
        var system = new MemoryFileSystem();
        using var mount = new LiveMount(system);
        var size = mount.Negotiation.MaxWrite;
        LiveMount.Within(() =>
        {
            using var file = new FileStream(Path.Join(mount.Path, "big"), FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite, 0);
            file.Write(new byte[size]);
            return 0;
        });
        Assert.Single(system.Writes);
        Assert.Equal(size, LiveMount.Within(() => File.ReadAllBytes(Path.Join(mount.Path, "big"))).Length);
    }

    [Fact]
    public void Unanswered_write_comes_again_and_succeeds()
    {
        var system = new MemoryFileSystem { ForgetNextWrite = true };
        using var mount = new LiveMount(system);
        Assert.True(mount.Negotiation.CanResend, "this kernel is older than 6.9: restart survival cannot be tested");
        var file = Path.Join(mount.Path, "f");
        var writing = Task.Factory.StartNew(() => File.WriteAllText(file, "line\n"), TaskCreationOptions.LongRunning);
        Assert.True(system.WriteForgotten.Wait(TimeSpan.FromSeconds(30)), "no write arrived");
        mount.Device.SendResend();
        Assert.True(writing.Wait(TimeSpan.FromSeconds(30)), "the write did not return");
        Assert.Equal("line\n", LiveMount.Within(() => File.ReadAllText(file)));
        Assert.Equal([false, true], system.Writes.Select(write => write.Resent));
        Assert.Equal(system.Writes[0].Unique, system.Writes[1].Unique);
    }

    [Fact]
    public void Second_mount_on_the_same_directory_is_refused()
    {
        using var mount = new LiveMount(new MemoryFileSystem());
        var e = Assert.Throws<FuseException>(() => FuseMount.Mount(mount.Path, "second"));
        Assert.Equal(FuseFailure.AlreadyMounted, e.Failure);
        Assert.Contains(mount.Path, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Busy_mount_stays_and_a_lazy_unmount_takes_it_away()
    {
        using var mount = new LiveMount(new MemoryFileSystem());
        using (LiveMount.Within(() => File.Create(Path.Join(mount.Path, "open"))))
        {
            Assert.Equal(FuseFailure.Busy, Assert.Throws<FuseException>(() => FuseMount.Unmount(mount.Path)).Failure);
            Assert.NotNull(MountTable.Find(mount.Path));
            FuseMount.UnmountLazily(mount.Path);
            Assert.Null(MountTable.Find(mount.Path));
        }
        Assert.Equal(FuseReadResult.Unmounted, mount.Ended());
    }

    [Fact]
    public void Mount_without_a_process_is_dead_and_named_so()
    {
        var path = Directory.CreateTempSubdirectory("hikyaku-dead-").FullName;
        try
        {
            var device = FuseMount.Mount(path, "gone");
            FuseNegotiation.Answer(device);
            device.Dispose();
            Assert.True(MountTable.IsDead(MountTable.Find(path)!));
            var e = Assert.Throws<FuseException>(() => FuseMount.Mount(path, "next"));
            Assert.Equal(FuseFailure.AlreadyMounted, e.Failure);
            Assert.Contains("umount -l", e.Message, StringComparison.Ordinal);
        }
        finally
        {
            FuseMount.UnmountLazily(path);
            Directory.Delete(path);
        }
    }

    [Fact]
    public void Missing_mount_point_is_named()
    {
        var e = Assert.Throws<FuseException>(() => FuseMount.Mount("/nowhere/at/all", "x"));
        Assert.Equal(FuseFailure.MountPointMissing, e.Failure);
        Assert.Contains("/nowhere/at/all", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_is_no_mount_point()
    {
        var file = Path.GetTempFileName();
        try
        {
            var e = Assert.Throws<FuseException>(() => FuseMount.Mount(file, "x"));
            Assert.Equal(FuseFailure.NotADirectory, e.Failure);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void Only_FUSE_mounts_are_ever_unmounted()
    {
        Assert.Equal(FuseFailure.NotMounted, Assert.Throws<FuseException>(() => FuseMount.UnmountLazily("/proc")).Failure);
        Assert.Equal(FuseFailure.NotMounted, Assert.Throws<FuseException>(() => FuseMount.Unmount("/usr")).Failure);
    }

    private static string Shell(string command)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }
}
