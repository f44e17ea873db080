using System.Text.Json;
using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>Files that are written straight to the disk, and what they grow by carried all the same. Rotation: <see cref="RotationTests"/>.</summary>
public sealed class PassthroughTests(ITestOutputHelper output)
{
    private const int SIGSTOP = 19;
    private const int SIGCONT = 18;
    private const int Writers = 4;
    private const int LinesPerSecondAndWriter = 12_500;
    private const string All = "passthrough: '*'";

    [MountFact]
    public void What_writers_write_arrives_and_does_not_pass_through_us()
    {
        using var scene = new Scene();
        var street = new Street(scene, All).Open();

        var result = Load.Start(scene, street.MountPoint, Writers, lines: 100_000).Wait();

        Load.AssertArrived(scene, result, street.Output);
        Eventually.Is(() => Passed(street, "bytes") == result.Bytes, "the status to tell of it", scene.Report);
        Assert.Equal(0, Mount(street).GetProperty("writes").GetInt64());
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        AssertNothingIsLeft(street);
        output.WriteLine($"{result.LinesPerSecond:0} lines a second");
    }

    [MountFact]
    public void Killing_the_mount_process_again_and_again_costs_nothing()
    {
        using var scene = new Scene(60 + (Kills.Count * 8));
        var street = new Street(scene, All).Open();
        var kills = new Kills();
        var load = Load.Start(scene, street.MountPoint, Writers, rate: LinesPerSecondAndWriter);
        for (var i = 0; i < 2 * Kills.Count; i++)
        {
            Kills.WaitUntilLinesMove(street);
            kills.WaitForTheMoment();
            var child = street.Agent.WaitForChild(Street.MountChild);
            _ = Libc.Kill(child, Libc.SIGKILL);
            street.Agent.WaitForChild(Street.MountChild, notPid: child);
        }
        Kills.WaitUntilLinesMove(street);
        var result = load.Stop();
        output.WriteLine($"{2 * Kills.Count} kills, seed {kills.Seed}: {result.Lines} lines, longest write {result.Longest.TotalMilliseconds:F0} ms");

        Assert.True(result.Failed is 0, $"failed writes: {result.Errors}\n{scene.Report()}");
        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        AssertNothingIsLeft(street);
    }

    [MountFact]
    public void Killing_the_mount_process_while_files_are_cut_and_renamed_costs_nothing()
    {
        using var scene = new Scene(60 + (Kills.Count * 8));
        var street = new Street(scene, All, routeLines: "match: ['w?.log', 'fresh.log']").Open();
        var kills = new Kills();
        var load = Load.Start(scene, street.MountPoint, Writers, rate: LinesPerSecondAndWriter);
        Kills.WaitUntilLinesMove(street);
        var rotation = scene.Start("/bin/sh", "-ec", $$"""
            cd {{street.MountPoint}}
            until [ -e {{scene["enough"]}} ]; do
                for f in w0.log w1.log; do cp $f $f.copy; : > $f; rm $f.copy; done
                for f in w2.log w3.log; do mv $f $f.old; : >> $f; done
                kill -USR1 {{load.Pid}}
                sleep 0.05
            done
            """);
        for (var i = 0; i < 2 * Kills.Count; i++)
        {
            Kills.WaitUntilLinesMove(street, writer: rotation);
            kills.WaitForTheMoment();
            var child = street.Agent.WaitForChild(Street.MountChild);
            _ = Libc.Kill(child, Libc.SIGKILL);
            street.Agent.WaitForChild(Street.MountChild, notPid: child);
        }
        Kills.WaitUntilLinesMove(street, writer: rotation);
        scene.Write("enough", "");
        rotation.WaitForExit();
        var result = load.Stop();
        output.WriteLine($"{2 * Kills.Count} kills, seed {kills.Seed}: {result.Lines} lines, reopened {result.Reopened} times, longest write {result.Longest.TotalMilliseconds:F0} ms");

        Assert.True(rotation.ExitCode is 0, scene.Report());
        Assert.True(result.Failed is 0, $"failed writes: {result.Errors}\n{scene.Report()}");
        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        AssertNothingIsLeft(street);
    }

    [MountFact]
    public void Writers_do_not_wait_for_a_mount_process_that_stands_still()
    {
        using var scene = new Scene();
        var street = new Street(scene, All).Open();
        var load = Load.Start(scene, street.MountPoint, Writers, rate: LinesPerSecondAndWriter);
        Kills.WaitUntilLinesMove(street);
        var child = street.Agent.WaitForChild(Street.MountChild);
        var underneath = $"/proc/{street.Agent.Pid}/fd/{ProcessTable.CommandLine(child).Split("directory=")[1].Split('\0', ' ')[0]}";

        _ = Libc.Kill(child, SIGSTOP);
        string[] files = [.. Enumerable.Range(0, Writers).Select(k => $"{underneath}/w{k}.log")];
        var before = FileLength.Of(files);
        Eventually.Is(() => FileLength.Of(files) > before + (1 << 20), "a megabyte more while nobody answers", scene.Report);
        _ = Libc.Kill(child, SIGCONT);

        var result = load.Stop();
        Assert.True(result.Failed is 0, scene.Report());
        Load.AssertArrived(scene, result, street.Output);
        street.CloseCleanly();
    }

    [MountFact]
    public void Files_that_are_cut_and_removed_while_nobody_takes_lines_lose_none()
    {
        using var scene = new Scene();
        var street = new Street(scene, All);
        street.StartAgent();
        scene.ShellOk($$"""
            cd {{street.MountPoint}}
            echo one > cut.log; echo two >> cut.log; truncate -s 0 cut.log; echo three >> cut.log; : > cut.log; printf 'fo' >> cut.log
            exec 3>> cut.log; echo ur >&3; truncate -s 2 cut.log; echo five >&3; exec 3>&-
            echo six > gone.log; rm gone.log
            exec 4> open.log; echo seven >&4; rm open.log; echo eight >&4; exec 4>&-
            echo nine > moved.log; echo ten > other.log; mv other.log moved.log
            [ "$(stat -c %h cut.log)" = 1 ] && [ "$(ls -A)" = "cut.log
            moved.log" ]
            """);

        street.StartCollector();

        Eventually.Is(() => street.Arrived().Count('\n'.Equals) >= 11, "all lines", scene.Report);
        // "fo" was a line of its own when its file was closed, and is carried as one.
        Assert.Equal(["eight", "five", "fo", "nine", "one", "seven", "six", "ten", "three", "two", "ur"], street.Arrived().TrimEnd('\n').Split('\n').Order(StringComparer.Ordinal));
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        AssertNothingIsLeft(street);
        Assert.Equal("fofive\n", File.ReadAllText(Path.Join(street.MountPoint, "cut.log")));
    }

    [MountFact]
    public void Copying_and_truncating_under_load_while_nobody_takes_lines_loses_none()
    {
        using var scene = new Scene();
        var street = new Street(scene, All, routeLines: "match: ['w?.log', 'fresh.log']");
        street.StartAgent();
        var load = Load.Start(scene, street.MountPoint, Writers, rate: LinesPerSecondAndWriter);
        for (var i = 0; i < 10; i++)
        {
            Eventually.Is(() => Enumerable.Range(0, Writers).All(k => FileLength.Of($"{street.MountPoint}/w{k}.log") > 100_000), "lines", scene.Report);
            scene.ShellOk($"cd {street.MountPoint} && for f in w?.log; do cp $f $f.copy && : > $f && rm $f.copy; done");
        }
        var result = load.Stop();
        Assert.True(result.Failed is 0, scene.Report());

        street.StartCollector();

        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        AssertNothingIsLeft(street);
    }

    [MountFact]
    public void Killing_the_whole_instance_disturbs_no_writer_and_loses_nothing()
    {
        using var scene = new Scene();
        var street = new Street(scene, All).Open();
        var load = Load.Start(scene, street.MountPoint, Writers, rate: LinesPerSecondAndWriter);
        for (var i = 0; i < 3; i++)
        {
            Kills.WaitUntilLinesMove(street);
            var children = new[] { street.Agent.WaitForChild(Street.MountChild), street.Agent.WaitForChild(Street.TransferChild) };
            street.Agent.Kill();
            foreach (var child in children)
                Eventually.Is(() => !ProcessTable.IsAlive(child), $"the end of child {child}", scene.Report);
            street.StartAgent();
        }
        Kills.WaitUntilLinesMove(street);
        var result = load.Stop();

        Assert.True(result.Failed is 0, $"failed writes: {result.Errors}\n{scene.Report()}");
        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [MountFact]
    public void What_is_not_kept_is_given_back_to_the_disk_when_it_is_delivered()
    {
        using var scene = new Scene();
        var street = new Street(scene, All + "\n    keep: none").Open();
        var load = Load.Start(scene, street.MountPoint, writers: 1, bytes: 1024, lines: 16_384);

        var result = load.Wait();

        Load.AssertArrived(scene, result, street.Output);
        var file = Path.Join(street.MountPoint, "w0.log");
        Eventually.Is(() => long.Parse(scene.ShellOk($"stat -c %b {file}")) < 1024, "room on the disk", scene.Report);
        Assert.Equal(result.Bytes, new FileInfo(file).Length);
        Assert.Contains("No data available", scene.Shell($"LC_ALL=C cat {file}").Errors, StringComparison.Ordinal);
        street.CloseCleanly();
        AssertNothingIsLeft(street);
    }

    [MountFact]
    public void An_fsync_answers_when_file_and_log_are_on_the_disk()
    {
        using var scene = new Scene();
        var street = new Street(scene, All).Open();
        var child = street.Agent.WaitForChild(Street.MountChild);
        var strace = scene.Start("strace", "-f", "-y", "-e", "trace=fdatasync,fsync,msync", "-o", scene["trace"], "-p", $"{child}");
        strace.WaitUntilSaid("attached");

        scene.ShellOk($"cd {street.MountPoint} && echo durable | dd of=a.log conv=fsync status=none");

        strace.Stop(Libc.SIGINT);
        var calls = File.ReadAllText(scene["trace"]);
        Assert.Matches("fdatasync[^\n]*[.]hikyaku-file-", calls);
        Assert.Matches("fdatasync[^\n]*[.]open>", calls[calls.IndexOf(".hikyaku-file-", StringComparison.Ordinal)..]);
        street.WaitForLine("durable");
        street.CloseCleanly();
    }

    private static void AssertNothingIsLeft(Street street) =>
        Assert.Equal("", street.Scene.ShellOk($"find {street.MountPoint} -name '.hikyaku*'"));

    private static JsonElement Mount(Street street)
    {
        using var json = JsonDocument.Parse(street.Scene.RunHikyaku("status", "-c", street.AgentFile, "--json").Output);
        return json.RootElement.GetProperty("mounts")[0].Clone();
    }

    private static long Passed(Street street, string what) =>
        Mount(street).TryGetProperty("passthrough", out var passed) && passed.ValueKind is JsonValueKind.Object ? passed.GetProperty(what).GetInt64() : 0;
}
