using System.Net;
using System.Net.Sockets;
using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd;

/// <summary>What cannot work ends at once, with a code and a sentence that names the thing and the way out, and leaves nothing mounted.</summary>
public sealed class BadInputTests
{
    private const int Failed = 1;
    private const int Usage = 2;
    private const int Missing = 3;

    [Fact]
    public void A_wrong_configuration_is_refused_with_its_place()
    {
        using var scene = new Scene();
        scene.Write("wrong.yaml", """
            mounts:
              logs:
                at: /tmp
                kepp: all
            """);

        Refused(scene.RunHikyaku("run", "-c", scene["wrong.yaml"]), Usage, "wrong.yaml:4:5:", "kepp", "keep");
        Refused(scene.RunHikyaku("check", scene["wrong.yaml"]), Usage, "wrong.yaml:4:5:", "kepp", "keep");
        Refused(scene.RunHikyaku("run", "-c", scene["none.yaml"]), Usage, "none.yaml", "no such file");
        Refused(scene.RunHikyaku("run"), Usage, "--config");
        Refused(scene.RunHikyaku("mount", scene.Folder, "-o", "cnof=x"), Usage, "cnof", "conf");
    }

    [MountFact]
    public void A_missing_mount_directory_is_named_with_the_command_that_makes_it()
    {
        using var scene = new Scene();
        var street = new Street(scene);
        Directory.Delete(street.MountPoint);

        Refused(scene.RunHikyaku("run", "-c", street.AgentFile), Missing, street.MountPoint, "mkdir");
    }

    [MountFact]
    public void A_mount_point_that_is_a_file_is_refused()
    {
        using var scene = new Scene();
        var street = new Street(scene);
        Directory.Delete(street.MountPoint);
        File.WriteAllText(street.MountPoint, "");

        Refused(scene.RunHikyaku("run", "-c", street.AgentFile), Missing, street.MountPoint, "directory");
    }

    [MountFact]
    public void A_state_directory_in_use_is_refused_and_its_owner_undisturbed()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();

        Refused(scene.RunHikyaku("run", "-c", street.AgentFile), Missing, street.AgentState, $"{street.Agent.Pid}", "state:");
        Refused(scene.RunHikyaku("run", "-c", street.CollectorFile), Missing, street.CollectorState, $"{street.Collector.Pid}", "state:");

        Assert.True(Mounts.IsMounted(street.MountPoint));
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [MountFact]
    public void A_mount_point_in_use_is_refused_and_its_owner_undisturbed()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        scene.Write("second.yaml", File.ReadAllText(street.AgentFile).Replace(street.AgentState, scene["second-state"], StringComparison.Ordinal));

        Refused(scene.RunHikyaku("run", "-c", scene["second.yaml"]), Missing, street.MountPoint, "already mounted");

        Assert.True(Mounts.IsMounted(street.MountPoint));
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [RootFact]
    public void A_directory_that_is_a_disk_of_its_own_can_be_mounted_over()
    {
        using var scene = new Scene();
        scene.ShellOk($"mount -t tmpfs own {scene.MakeFolder("mnt")} && echo before > {scene["mnt"]}/old.log");
        var street = new Street(scene).Open();

        Assert.Equal("before", scene.ShellOk($"cat {street.MountPoint}/old.log"));
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        Assert.True(File.Exists(Path.Join(street.MountPoint, "fresh.log")));
    }

    [MountFact]
    public void A_port_in_use_is_named_and_nothing_stays_mounted()
    {
        using var scene = new Scene();
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;
        var mount = scene.MakeFolder("mnt");
        scene.Write("collector.yaml", $"{{ state: {scene["a"]}, receive: {{ forward: {{ listen: '127.0.0.1:{port}' }} }}, routes: [ {{ to: {{ file: {{ path: {scene["out"]} }} }} }} ] }}");
        scene.Write("both.yaml", $"{{ state: {scene["b"]}, mounts: {{ logs: {{ at: {mount} }} }}, receive: {{ forward: {{ listen: '127.0.0.1:{port}' }} }}, routes: [ {{ to: {{ file: {{ path: {scene["out"]} }} }} }} ] }}");

        Refused(scene.RunHikyaku("run", "-c", scene["collector.yaml"]), Missing, $"127.0.0.1:{port}", "in use");
        Refused(scene.RunHikyaku("run", "-c", scene["both.yaml"]), Missing, $"127.0.0.1:{port}", "in use");

        Assert.False(Mounts.IsMounted(mount));
    }

    [MountFact]
    public void Damaged_bytes_in_the_log_are_reported_and_passed_over()
    {
        using var scene = new Scene();
        var street = new Street(scene);
        street.StartAgent();
        foreach (var line in new[] { "line one", "line two", "line three" })
            street.Echo(line);
        Assert.Equal(0, street.Agent.Stop());
        SegmentBytes.Damage(street.AgentLog, "line two");

        Refused(scene.RunHikyaku("log", "verify", street.AgentLog), Failed, "damage");
        street.StartCollector();
        street.StartAgent();
        street.WaitForLine("line three");

        Assert.Contains("damage", street.Agent.Errors, StringComparison.OrdinalIgnoreCase);
        Assert.Contains(Path.GetFileName(SegmentBytes.Newest(street.AgentLog))[..20], street.Agent.Errors, StringComparison.Ordinal);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        Assert.Contains("line one\n", street.Arrived(), StringComparison.Ordinal);
        Assert.DoesNotContain("two", street.Arrived(), StringComparison.OrdinalIgnoreCase);
    }

    [MountFact]
    public void A_log_of_another_version_is_refused_untouched()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("written by this version");
        street.WaitForLine("written by this version");
        street.CloseCleanly();
        SegmentBytes.SetVersion(street.AgentLog, 2);
        SegmentBytes.SetVersion(Path.Join(street.CollectorState, "logs/receive"), 2);
        var before = scene.ShellOk($"cat {street.AgentLog}/* | md5sum");

        Refused(scene.RunHikyaku("run", "-c", street.AgentFile), Missing, street.AgentLog, "version 2");
        Refused(scene.RunHikyaku("run", "-c", street.CollectorFile), Missing, "logs/receive", "version 2");

        Assert.False(Mounts.IsMounted(street.MountPoint));
        Assert.Equal(before, scene.ShellOk($"cat {street.AgentLog}/* | md5sum"));
    }

    [RootFact]
    public void A_full_disk_refuses_writes_until_there_is_room()
    {
        using var scene = new Scene();
        var disk = new SmallDisk(scene, "disk", 120 << 20);
        var street = new Street(scene, agentState: Path.Join(disk.Path, "state"));
        street.StartAgent();
        scene.ShellOk($"head -c 60M /dev/zero > {disk.Path}/filler");

        var result = Load.Start(scene, street.MountPoint, writers: 2, bytes: 4096).Wait();
        Assert.Equal("{\"ENOSPC\":2}", result.Errors);
        Assert.NotEqual(0, scene.Shell($"echo refused >> {street.MountPoint}/access.log").ExitCode);
        File.Delete(Path.Join(disk.Path, "filler"));
        Eventually.Is(() => scene.Shell($"echo accepted again >> {street.MountPoint}/access.log").ExitCode is 0, "room again", scene.Report);

        street.StartCollector();
        street.WaitForLine("accepted again");
        street.CloseCleanly();
        var arrived = File.ReadAllText(street.Output);
        Assert.DoesNotContain("refused", arrived, StringComparison.Ordinal);
        File.WriteAllText(street.Output, arrived.Replace("accepted again\n", "", StringComparison.Ordinal));
        Load.AssertArrived(scene, result, street.Output);
    }

    [RootFact]
    public void A_full_disk_empties_itself_once_the_collector_is_there()
    {
        using var scene = new Scene();
        var disk = new SmallDisk(scene, "disk", 120 << 20);
        var street = new Street(scene, agentState: Path.Join(disk.Path, "state"));
        street.StartAgent();
        var result = Load.Start(scene, street.MountPoint, writers: 2, bytes: 4096).Wait();
        Assert.Equal("{\"ENOSPC\":2}", result.Errors);
        // Not one byte is left, not even for the cursors.
        Assert.NotEqual(0, scene.Shell($"cat /dev/zero > {disk.Path}/filler").ExitCode);

        street.StartCollector();

        Load.AssertArrived(scene, result, street.Output);
        Eventually.Is(() => scene.Shell($"echo accepted again >> {street.MountPoint}/access.log").ExitCode is 0, "room again", scene.Report);
        street.WaitForLine("accepted again");
        street.CloseCleanly();
    }

    [RootFact]
    public void A_collector_whose_disk_is_full_goes_on_when_there_is_room()
    {
        using var scene = new Scene();
        var disk = new SmallDisk(scene, "disk", 120 << 20);
        scene.ShellOk($"head -c 115M /dev/zero > {disk.Path}/filler");
        var street = new Street(scene, output: Path.Join(disk.Path, "out.log")).Open();
        var result = Load.Start(scene, street.MountPoint, writers: 2, bytes: 4096, lines: 2000).Wait();
        Assert.Equal(0, result.Failed);
        street.Collector.WaitUntilSaid("No space left on device");

        File.Delete(Path.Join(disk.Path, "filler"));

        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [MountFact]
    public void A_full_quota_refuses_writes_until_lines_have_left()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 64 MiB");
        street.StartAgent();
        var result = Load.Start(scene, street.MountPoint, writers: 2, bytes: 4096).Wait();
        Assert.Equal("{\"ENOSPC\":2}", result.Errors);

        street.StartCollector();

        Load.AssertArrived(scene, result, street.Output);
        Eventually.Is(() => scene.Shell($"echo accepted again >> {street.MountPoint}/access.log").ExitCode is 0, "room again", scene.Report);
        street.WaitForLine("accepted again");
        street.CloseCleanly();
    }

    [MountFact]
    public void Writers_that_are_to_wait_at_the_quota_wait_and_lose_nothing()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 64 MiB\n    when_full: block");
        street.StartAgent();
        var load = Load.Start(scene, street.MountPoint, writers: 2, bytes: 4096, lines: 15_000);
        // 64 MiB hold about this much; then both wait.
        Eventually.Is(() => SizeUnder(street.AgentLog) > 60 << 20 && scene.RunHikyaku("status", "-c", street.AgentFile).Output.Contains("2 WRITES WAIT", StringComparison.Ordinal), "the writers wait", scene.Report);
        Assert.True(load.IsRunning);

        street.StartCollector();

        var result = load.Wait();
        Assert.Equal(0, result.Failed);
        Load.AssertArrived(scene, result, street.Output);
        street.CloseCleanly();
    }

    [MountFact]
    public void Peers_that_speak_nonsense_or_stop_reading_disturb_nobody()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        var random = new Random(1);
        var noise = new byte[100_000];
        random.NextBytes(noise);
        var peers = new List<TcpClient>();
        byte[][] openings =
        [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), noise, [0x93, 0xC6, 0xFF, 0xFF, 0xFF, 0xFF], [0xDD, 0xFF, 0xFF, 0xFF, 0xFF], [.. Enumerable.Repeat((byte)0x91, 5000)], [0xC1],
            // Half of a message, and then silence.
            [0x93, 0xA3, (byte)'t'], [],
        ];
        foreach (var opening in openings)
        {
            var peer = new TcpClient("127.0.0.1", street.Port);
            peers.Add(peer);
            peer.GetStream().Write(opening);
        }
        // Asks for acks and never reads one, until nothing more can be sent; the collector must not wait for it.
        var deaf = new TcpClient("127.0.0.1", street.Port) { SendTimeout = 300, ReceiveBufferSize = 4096 };
        peers.Add(deaf);
        byte[] message = [0x94, 0xA4, .. "deaf"u8, 0x00, 0x81, 0xA7, .. "message"u8, 0xA1, (byte)'x', 0x81, 0xA5, .. "chunk"u8, 0xD9, 200, .. Enumerable.Repeat((byte)'c', 200)];
        byte[] many = [.. Enumerable.Repeat(message, 200).SelectMany(m => m)];
        try
        {
            for (var i = 0; i < 500; i++)
                deaf.GetStream().Write(many);
        }
        catch (IOException)
        {
            // Its end is full, or the collector has hung up: both are fine.
        }

        street.Echo("a line of a real one");
        Eventually.Is(() => street.Arrived().Contains("a line of a real one\n", StringComparison.Ordinal), "a line of a real one", scene.Report);
        street.Collector.WaitUntilSaid("127.0.0.1");
        street.CloseCleanly();
        peers.ForEach(p => p.Dispose());
    }

    [MountFact]
    public void A_collector_that_stops_reading_delays_lines_and_loses_none()
    {
        using var scene = new Scene();
        var street = new Street(scene);
        LoadResult result;
        using (var deaf = new TcpListener(IPAddress.Loopback, street.Port))
        {
            deaf.Start();
            street.StartAgent();
            var load = Load.Start(scene, street.MountPoint, writers: 2, bytes: 1024, lines: 8000);
            using var accepted = deaf.AcceptTcpClient();
            result = load.Wait();
            Assert.Equal(0, result.Failed);
        }
        street.StartCollector();

        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    private static void Refused(Command command, int exitCode, params string[] words)
    {
        Assert.True(command.ExitCode == exitCode, $"exit code {command.ExitCode} instead of {exitCode}: {command.Said}");
        Assert.All(words, word => Assert.Contains(word, command.Said, StringComparison.Ordinal));
        Assert.DoesNotContain("   at ", command.Said, StringComparison.Ordinal);
    }

    private static long SizeUnder(string folder) => Directory.Exists(folder) ? FileLength.Of(Directory.GetFiles(folder)) : 0;
}
