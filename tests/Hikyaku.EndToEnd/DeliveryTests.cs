using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd;

public sealed class DeliveryTests
{
    [MountFact]
    public void A_line_written_by_a_shell_arrives_in_the_collectors_file()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();

        scene.ShellOk($"echo 'TEST STRING' > {street.MountPoint}/access.log");

        street.WaitForLine("TEST STRING");
        street.CloseCleanly();
        Assert.Equal("TEST STRING\n", street.Arrived());
    }

    [MountFact]
    public void Df_names_the_mount()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();

        Assert.StartsWith("hikyaku", scene.ShellOk($"df --output=source {street.MountPoint} | tail -n 1"), StringComparison.Ordinal);
        Assert.Contains("fuse.hikyaku", scene.ShellOk($"df --output=fstype {street.MountPoint}"), StringComparison.Ordinal);
    }

    [MountFact]
    public void After_SIGTERM_an_ordinary_directory_holds_what_was_written()
    {
        using var scene = new Scene();
        File.WriteAllText(Path.Join(scene.MakeFolder("mnt"), "before.log"), "from before\n");
        var street = new Street(scene).Open();
        scene.ShellOk($"cd {street.MountPoint} && cat before.log && mkdir -p deep/er && for i in 1 2 3; do echo line $i >> deep/er/some.log; done");
        street.WaitForLine("line 3");

        street.CloseCleanly();

        Assert.Equal("from before\n", File.ReadAllText(Path.Join(street.MountPoint, "before.log")));
        Assert.Equal("line 1\nline 2\nline 3\n", File.ReadAllText(Path.Join(street.MountPoint, "deep/er/some.log")));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(street.MountPoint), e => Path.GetFileName(e).StartsWith(".hikyaku-", StringComparison.Ordinal));
        Assert.Equal("line 1\nline 2\nline 3\n", street.Arrived());
    }

    [MountFact]
    public void Nothing_is_kept_when_the_configuration_says_so()
    {
        using var scene = new Scene();
        var street = new Street(scene, "keep: none").Open();

        street.Echo("carried, not kept");

        street.WaitForLine("carried, not kept");
        street.CloseCleanly();
        Assert.All(Directory.EnumerateFiles(street.MountPoint), f => Assert.Equal(0, new FileInfo(f).Length));
    }

    [MountFact]
    public void Lines_that_are_halved_doubled_up_or_huge_arrive_as_they_were_meant()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        var folders = new[] { "half", "several", "big" };
        scene.ShellOk($"cd {street.MountPoint} && mkdir {string.Join(' ', folders)}");

        foreach (var mode in folders)
        {
            var result = Load.Start(scene, Path.Join(street.MountPoint, mode), writers: 3, lines: mode is "big" ? 600 : 4000, mode: mode).Wait();
            Assert.Equal("{}", result.Errors);
            Load.AssertArrived(scene, result, street.Output);
            street.Collector.Stop();
            File.Delete(street.Output);
            street.StartCollector();
        }
        street.CloseCleanly();
    }

    [MountFact]
    public void Bytes_that_are_no_text_and_a_line_without_its_end_arrive_unchanged()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();

        scene.ShellOk($@"printf 'a\000b\377\376c\r\n\n\nlast' > {street.MountPoint}/odd.log");

        Eventually.Is(() => street.Arrived().Length >= 15, "15 bytes", scene.Report);
        street.CloseCleanly();
        // The end of the last line is missing in the file written; in the collector's, lines of others may follow.
        Assert.Equal("a\0b\xFF\xFE" + "c\r\n\n\nlast\n", street.Arrived());
    }

    [MountFact]
    public void A_collector_that_was_away_gets_everything_when_it_is_back()
    {
        using var scene = new Scene();
        var street = new Street(scene);
        street.StartAgent();
        street.Echo("before there was a collector");
        street.StartCollector();
        street.WaitForLine("before there was a collector");
        Assert.Equal(0, street.Collector.Stop());

        var result = Load.Start(scene, street.MountPoint, writers: 2, lines: 5000).Wait();
        Assert.Equal(0, result.Failed);
        File.Delete(street.Output);
        street.StartCollector();

        Load.AssertArrived(scene, result, street.Output);
        street.CloseCleanly();
    }

    [MountFact]
    public void An_agent_that_is_stopped_and_started_goes_on_where_it_was()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("first");
        street.WaitForLine("first");
        Assert.Equal(0, street.Collector.Stop());
        street.Echo("second");
        Assert.Equal(0, street.Agent.Stop());
        street.StartCollector();
        street.StartAgent();
        street.Echo("third");

        street.WaitForLine("third");
        street.CloseCleanly();
        Assert.Equal("first\nsecond\nthird\n", street.Arrived());
    }

    [RootFact]
    public void Fsync_returns_only_after_the_log_is_on_disk()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("before");
        street.WaitForLine("before");
        var child = street.Agent.WaitForChild(Street.MountChild);
        var trace = scene["trace"];
        const int SlowerByMs = 400;
        var strace = scene.Start("strace", "-f", "-y", "-e", "trace=fdatasync,fsync,msync", "-e", $"inject=fdatasync,fsync,msync:delay_exit={SlowerByMs * 1000}", "-o", trace, "-p", $"{child}");
        strace.WaitUntilSaid("attached");

        street.Echo("not yet asked for");
        var took = scene.ShellOk($"start=$(date +%s%N); sync {street.MountPoint}/access.log; echo $((($(date +%s%N) - start) / 1000000))");

        strace.Stop(Libc.SIGINT);
        Assert.True(int.Parse(took) >= SlowerByMs, $"fsync took {took} ms, and the disk alone {SlowerByMs} ms:\n{File.ReadAllText(trace)}");
        Assert.Contains(File.ReadAllLines(trace), l => l.Contains("sync(", StringComparison.Ordinal) && l.Contains(street.AgentLog, StringComparison.Ordinal));
    }

    [RootFact]
    public void Fsync_fails_when_the_disk_fails()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("before");
        var child = street.Agent.WaitForChild(Street.MountChild);
        var strace = scene.Start("strace", "-f", "-e", "trace=fdatasync,fsync,msync", "-e", "inject=fdatasync,fsync,msync:error=EIO", "-o", scene["trace"], "-p", $"{child}");
        strace.WaitUntilSaid("attached");

        street.Echo("on its way to a broken disk");
        var sync = scene.Shell($"sync {street.MountPoint}/access.log");
        strace.Stop(Libc.SIGINT);

        Assert.NotEqual(0, sync.ExitCode);
        Assert.Contains("Input/output error", sync.Errors, StringComparison.Ordinal);
        street.WaitForLine("on its way to a broken disk");
        street.AssertFreshLineArrives();
    }
}
