using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>kill -9 under the full load of four writers: a pause for them, and nothing else for anybody.</summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private const int Writers = 4;

    private static int Seconds => 60 + Kills.Count * 8;

    [MountFact]
    public void Killing_the_mount_process_costs_a_pause_and_nothing_else() => KillUnderLoad((street, _) => KillChild(street, Street.MountChild));

    [MountFact]
    public void Killing_the_transfer_process_costs_nothing() => KillUnderLoad((street, _) => KillChild(street, Street.TransferChild));

    [MountFact]
    public void Killing_the_collector_costs_nothing() => KillUnderLoad((street, _) => KillCollector(street));

    [MountFact]
    public void Killing_any_of_the_three_costs_nothing() => KillUnderLoad((street, kills) =>
    {
        switch (kills.Draw(3))
        {
            case 0: KillChild(street, Street.MountChild); break;
            case 1: KillChild(street, Street.TransferChild); break;
            default: KillCollector(street); break;
        }
    });

    [MountFact]
    public void Killing_the_mount_process_between_files_that_come_and_go_disturbs_no_program()
    {
        using var scene = new Scene(Seconds);
        var street = new Street(scene).Open();
        var kills = new Kills();
        output.WriteLine($"seed {kills.Seed}");
        // Every command must succeed, so that a mkdir or mv repeated by the kernel and answered with EEXIST is seen.
        scene.Write("programs.sh", $$"""
            cd {{street.MountPoint}}
            n=0
            failed() { echo "round $n: $1; there is: $(ls -lR; cat d*/*)"; exit 1; }
            while [ ! -e {{scene["enough"]}} ]; do
                n=$((n + 1))
                mkdir d$n || failed mkdir
                echo "made $n" > d$n/new.log || failed create
                mv d$n/new.log d$n/old.log || failed mv
                echo "more $n" >> d$n/old.log || failed append
                [ "$(cat d$n/old.log)" = "made $n
            more $n" ] || failed 'read back'
                rm d$n/old.log || failed rm
                rmdir d$n || failed rmdir
            done
            echo $n
            """);
        var programs = scene.Start("/bin/sh", scene["programs.sh"]);

        for (var i = 0; i < Kills.Count; i++)
        {
            Kills.WaitUntilLinesMove(street, bytes: 20, programs);
            kills.WaitForTheMoment();
            KillChild(street, Street.MountChild);
        }
        Kills.WaitUntilLinesMove(street, bytes: 20, programs);
        scene.Write("enough", "");
        programs.WaitForExit();

        Assert.True(programs.ExitCode is 0, scene.Report());
        var rounds = int.Parse(programs.Output);
        Eventually.Is(() => street.Arrived().EndsWith($"more {rounds}\n", StringComparison.Ordinal), "the last line", scene.Report);
        Assert.Equal(string.Concat(Enumerable.Range(1, rounds).Select(n => $"made {n}\nmore {n}\n")), street.Arrived());
        street.CloseCleanly();
    }

    [RootFact]
    public void A_kill_in_the_midst_of_a_rename_loses_nothing_of_the_files_content()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        var child = street.Agent.WaitForChild(Street.MountChild);
        var directory = System.Text.RegularExpressions.Regex.Match(ProcessTable.CommandLine(child), @"directory=(\d+)").Groups[1].Value;
        // The rename has happened underneath, and the process that asked for it never hears of it.
        var strace = scene.Start("strace", "-f", "-e", "trace=renameat2", "-e", "inject=renameat2:delay_exit=3000000", "-o", scene["trace"], "-p", $"{child}");
        strace.WaitUntilSaid("attached");
        var programs = scene.Start("/bin/sh", "-c", $"cd {street.MountPoint} && exec 3>>new.log && echo one >&3 && echo two > closed.log && mv new.log old.log && echo three >&3");
        Eventually.Is(() => File.Exists($"/proc/{street.Agent.Pid}/fd/{directory}/old.log"), "the rename underneath", scene.Report);

        _ = Libc.Kill(child, Libc.SIGKILL);

        programs.WaitForExit();
        Assert.True(programs.ExitCode is 0, scene.Report());
        Assert.Equal("one\nthree", scene.ShellOk($"cat {street.MountPoint}/old.log"));
        Assert.Equal("two", scene.ShellOk($"cat {street.MountPoint}/closed.log"));
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        Assert.Equal("one\nthree\n", File.ReadAllText(Path.Join(street.MountPoint, "old.log")));
        Assert.StartsWith("one\ntwo\nthree\n", street.Arrived(), StringComparison.Ordinal);
    }

    [MountFact]
    public void A_killed_supervisor_takes_its_children_along_and_the_next_one_cleans_up()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 8 GiB").Open();
        var load = Load.Start(scene, street.MountPoint, Writers);
        Kills.WaitUntilLinesMove(street);
        var children = new[] { street.Agent.WaitForChild(Street.MountChild), street.Agent.WaitForChild(Street.TransferChild) };

        street.Agent.Kill();

        // Nobody holds the device any more: the writers get an error instead of waiting for ever.
        var result = load.Wait();
        Assert.Equal(Writers, result.Failed);
        foreach (var child in children)
            Eventually.Is(() => !ProcessTable.IsAlive(child), $"the end of child {child}", scene.Report);

        street.StartAgent();
        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [MountFact]
    public void A_mount_process_that_cannot_start_again_ends_in_an_error_for_everyone()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("accepted");
        street.WaitForLine("accepted");
        var load = Load.Start(scene, street.MountPoint, Writers);
        Kills.WaitUntilLinesMove(street);

        // Where its log was there is a file now, so every successor fails.
        Directory.Move(street.AgentLog, street.AgentLog + ".away");
        File.WriteAllText(street.AgentLog, "");
        _ = Libc.Kill(street.Agent.WaitForChild(Street.MountChild), Libc.SIGKILL);

        street.Agent.WaitForExit();
        Assert.Equal(1, street.Agent.ExitCode);
        Assert.Contains("giving up", street.Agent.Errors, StringComparison.Ordinal);
        Assert.Contains(street.AgentLog, street.Agent.Errors, StringComparison.Ordinal);
        Assert.False(Mounts.IsMounted(street.MountPoint), scene.Report());
        var result = load.Wait();
        Assert.Equal(Writers, result.Failed);

        File.Delete(street.AgentLog);
        Directory.Move(street.AgentLog + ".away", street.AgentLog);
        street.StartAgent();
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    // A child is only killed when it is there again and lines move: each kill hits a street under load.
    private void KillUnderLoad(Action<Street, Kills> kill)
    {
        using var scene = new Scene(Seconds);
        // The queue must not fill up because a kill was slow to recover from on a busy machine: refusing is another test.
        var street = new Street(scene, "quota: 16 GiB", "quota: 16 GiB").Open();
        var kills = new Kills();
        var load = Load.Start(scene, street.MountPoint, Writers);
        for (var i = 0; i < Kills.Count; i++)
        {
            Kills.WaitUntilLinesMove(street);
            kills.WaitForTheMoment();
            kill(street, kills);
        }
        Kills.WaitUntilLinesMove(street);
        var result = load.Stop();
        output.WriteLine($"{Kills.Count} kills, seed {kills.Seed}: {result.Lines} lines, {result.LinesPerSecond:F0} a second, {result.Failed} failed writes, longest pause {result.Longest.TotalMilliseconds:F0} ms");

        Assert.True(result.Failed is 0, $"failed writes: {result.Errors}\n{scene.Report()}");
        Load.AssertArrived(scene, result, street.Output);
        var length = new FileInfo(street.Output).Length;
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        Assert.Equal(length + "fresh \n".Length + 32, new FileInfo(street.Output).Length);
    }

    private static void KillChild(Street street, string word)
    {
        var child = street.Agent.WaitForChild(word);
        _ = Libc.Kill(child, Libc.SIGKILL);
        street.Agent.WaitForChild(word, notPid: child);
    }

    private static void KillCollector(Street street)
    {
        street.Collector.Kill();
        street.StartCollector();
    }
}
