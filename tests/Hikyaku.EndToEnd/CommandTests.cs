using System.Text.Json;
using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd;

/// <summary>The commands beside run: status, log, mount, try.</summary>
public sealed class CommandTests
{
    [MountFact]
    public void Status_shows_the_lines_of_a_running_instance()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("seen by status");
        street.WaitForLine("seen by status");

        Eventually.Is(() => scene.RunHikyaku("status", "-c", street.AgentFile).Output.Contains("access.log: 1 line", StringComparison.Ordinal), "status shows the line", scene.Report);
        Eventually.Is(() => scene.RunHikyaku("status", "-c", street.CollectorFile).Output.Contains("1 line", StringComparison.Ordinal), "status shows the line", scene.Report);
        Eventually.Is(() => scene.RunHikyaku("status", "-c", street.AgentFile).Output is var output && output.Contains($"127.0.0.1:{street.Port}: healthy", StringComparison.Ordinal)
            && output.Contains("nothing queued", StringComparison.Ordinal), "a healthy receiver that has everything", scene.Report);
        var page = scene.RunHikyaku("status", "-c", street.AgentFile);
        Assert.Equal(0, page.ExitCode);
        Assert.Contains(street.MountPoint, page.Output, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{street.Port}: healthy", page.Output, StringComparison.Ordinal);
        Assert.Contains("nothing queued", page.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("LOSS", page.Output, StringComparison.Ordinal);

        using var json = JsonDocument.Parse(scene.RunHikyaku("status", "-c", street.AgentFile, "--json").Output);
        Assert.Equal(street.Agent.Pid, json.RootElement.GetProperty("process").GetInt32());
        Assert.Equal(1, json.RootElement.GetProperty("mounts")[0].GetProperty("writes").GetInt64());
        Assert.Equal(1, json.RootElement.GetProperty("routes")[0].GetProperty("pump").GetProperty("linesOut").GetInt64());
        street.CloseCleanly();
    }

    [MountFact]
    public void Status_shows_what_waits_and_why()
    {
        using var scene = new Scene();
        var street = new Street(scene);
        street.StartAgent();
        foreach (var line in new[] { "one", "two" })
            street.Echo(line);

        Eventually.Is(() => scene.RunHikyaku("status", "-c", street.AgentFile).Output.Contains("NOT HEALTHY", StringComparison.Ordinal), "status names the receiver", scene.Report);
        var page = scene.RunHikyaku("status", "-c", street.AgentFile);
        Assert.Contains("2 lines, 8 B queued", page.Output, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(scene.RunHikyaku("status", "-c", street.AgentFile, "--json").Output);
        var queue = json.RootElement.GetProperty("routes")[0].GetProperty("queue");
        Assert.Equal(2, queue.GetProperty("lines").GetInt64());
        Assert.True(queue.GetProperty("oldestSeconds").GetDouble() > 0);

        Assert.Equal(0, street.Agent.Stop());
        var after = scene.RunHikyaku("status", "-c", street.AgentFile);
        Assert.Equal(3, after.ExitCode);
        Assert.Contains("NOT RUNNING", after.Output, StringComparison.Ordinal);
        Assert.Contains("2 lines, 8 B queued", after.Output, StringComparison.Ordinal);
    }

    [MountFact]
    public void A_log_can_be_looked_into_while_it_is_written_and_afterwards()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("to be dumped");
        street.WaitForLine("to be dumped");
        var received = Path.Join(street.CollectorState, "logs/receive");

        Look();
        street.CloseCleanly();
        Look();

        void Look()
        {
            foreach (var log in new[] { street.AgentLog, received })
            {
                var verify = scene.RunHikyaku("log", "verify", log);
                Assert.True(verify.ExitCode is 0, verify.Said);
            }
            Assert.Contains("to be dumped", scene.RunHikyaku("log", "dump", street.AgentLog).Output, StringComparison.Ordinal);
            Assert.Contains("access.log", scene.RunHikyaku("log", "dump", street.AgentLog).Output, StringComparison.Ordinal);
            Assert.Contains(" Chunk ", scene.RunHikyaku("log", "dump", received).Output, StringComparison.Ordinal);
        }
    }

    [MountFact]
    public void The_founding_scenario_works_with_the_founding_configuration()
    {
        using var scene = new Scene();
        var port = Scene.FreePort();
        // The state of such an instance is named after the file and the mount point; the scene's own name keeps it apart from others.
        var server = scene.Write($"{Path.GetFileName(scene.Folder)}-server.yaml", FoundingFiles.Server(port, scene.MakeFolder("all")));
        var slave = scene.Write("slave.yaml", FoundingFiles.Slave(port));
        var logs = scene.MakeFolder("logs");
        Directory.CreateDirectory(scene["all/log"]);
        string[] states = [$"/var/lib/hikyaku/{logs.Trim('/').Replace('/', '-')}", $"/var/lib/hikyaku/{Path.GetFileNameWithoutExtension(server)}"];
        try
        {
            var collector = scene.Hikyaku("run", "-c", server);
            collector.WaitUntilSaid("running");
            var agent = scene.Hikyaku("mount", logs, "-o", $"conf={slave}", "-f");
            agent.WaitUntilSaid("running");

            Assert.StartsWith("hikyaku", scene.ShellOk($"df --output=source {logs} | tail -n 1"), StringComparison.Ordinal);
            scene.ShellOk($"echo 'TEST STRING' > {logs}/access.log; echo 'not carried' > {logs}/other.txt; echo 'WRONG' > {logs}/error.log");

            var unified = scene["all/log/unify.log"];
            Eventually.Is(() => File.Exists(unified) && File.ReadAllLines(unified).Length is 2, "two lines", scene.Report);
            var lines = File.ReadAllLines(unified);
            var host = System.Text.RegularExpressions.Regex.Escape(Environment.MachineName);
            Assert.Matches($@"^{host}:access\.log\(\d+\):access\.log\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\(\d{{10}} \d{{1,9}}\)\] TEST STRING$", lines[0]);
            Assert.Matches($@"^{host}:error\.log\(\d+\):error\.log\[.*\] WRONG$", lines[1]);
            // What has no meaning here is named once, by each side.
            Assert.Single(agent.Errors.Split('\n'), l => l.Contains("MAXCHMPX", StringComparison.Ordinal));
            Assert.Single(collector.Errors.Split('\n'), l => l.Contains("MAXCHMPX", StringComparison.Ordinal));
            Assert.Equal(0, agent.Stop());
            Assert.Equal(0, collector.Stop());
            Assert.False(Mounts.IsMounted(logs));
        }
        finally
        {
            foreach (var state in states.Where(Directory.Exists))
                Directory.Delete(state, recursive: true);
        }
    }

    [MountFact]
    public void Mount_without_f_returns_when_it_is_mounted_and_umount_ends_it()
    {
        using var scene = new Scene();
        var street = new Street(scene);
        street.StartCollector();

        var mount = scene.RunHikyaku("mount", street.MountPoint, "-o", $"conf={street.AgentFile},rw,noatime");

        Assert.True(mount.ExitCode is 0, scene.Report());
        Assert.True(Mounts.IsMounted(street.MountPoint));
        street.AssertFreshLineArrives();
        scene.ShellOk($"umount {street.MountPoint}");
        Eventually.Is(() => scene.RunHikyaku("status", "-c", street.AgentFile).ExitCode is 3, "the instance ends", scene.Report);
        Assert.False(Mounts.IsMounted(street.MountPoint));
    }

    [MountFact]
    public void Try_once_shows_that_it_works_and_leaves_nothing_behind()
    {
        using var scene = new Scene();

        var tried = scene.RunHikyaku("try", "--once");

        Assert.True(tried.ExitCode is 0, tried.Said);
        Assert.Contains("each exactly once", tried.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(scene["hikyaku-try"]));
        Assert.Empty(Mounts.Below(scene.Folder));
    }

    [MountFact]
    public void Try_shows_lines_until_it_is_interrupted()
    {
        using var scene = new Scene();
        var tried = scene.Hikyaku("try");
        tried.WaitUntilSaid("Ctrl-C");

        scene.ShellOk($"echo 'hello there' >> {scene["hikyaku-try/mnt"]}/hello.log");

        tried.WaitUntilSaid("hello there");
        Assert.Equal(0, tried.Stop(Libc.SIGINT));
        Assert.False(Directory.Exists(scene["hikyaku-try"]));
        Assert.Empty(Mounts.Below(scene.Folder));
    }

    [RootFact]
    public void Try_once_as_an_ordinary_user_works_or_says_precisely_what_is_missing()
    {
        using var scene = new Scene();
        var home = scene.MakeFolder("home");
        // The program may stand where that user cannot go.
        scene.ShellOk($"cp -r {Path.GetDirectoryName(Checkout.Program)} {scene["program"]} && chmod -R a+rX {scene["program"]} && chown -R nobody {home}");
        string AsNobody(string command) => $"cd {home} && HOME={home} DOTNET_BUNDLE_EXTRACT_BASE_DIR={home} setpriv --reuid=nobody --regid=nogroup --clear-groups {command}";
        var mayMount = File.Exists("/usr/bin/fusermount3") && scene.Shell(AsNobody("test -w /dev/fuse")).ExitCode is 0;

        var tried = scene.Shell(AsNobody($"{scene["program"]}/{Path.GetFileName(Checkout.Program)} try --once"));

        if (mayMount)
            Assert.True(tried.ExitCode is 0, tried.Said);
        else if (tried.ExitCode is not 0)
        {
            Assert.True(tried.ExitCode is 3, tried.Said);
            Assert.Contains("/dev/fuse", tried.Said, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", tried.Said, StringComparison.Ordinal);
        }
        Assert.False(Directory.Exists(Path.Join(home, "hikyaku-try")));
        Assert.Empty(Mounts.Below(scene.Folder));
    }
}
