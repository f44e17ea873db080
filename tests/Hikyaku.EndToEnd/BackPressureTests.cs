using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Hikyaku.EndToEnd.Chaos;
using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>Lines that cannot leave: what becomes of them, of who writes them, and of everybody else.</summary>
public sealed class BackPressureTests(ITestOutputHelper output)
{
    private const int SIGUSR1 = 10, SIGCONT = 18, SIGSTOP = 19;

    [MountFact]
    public void Programs_that_try_again_when_they_are_refused_lose_nothing_and_double_nothing()
    {
        var refused = 0L;
        FillTwice("refuse", street => Refused(street) > 100, accepted => refused = accepted.Sum(a => a.Refused));
        Assert.True(refused > 0);
    }

    [MountFact]
    public void Programs_that_wait_for_room_lose_nothing_and_double_nothing() =>
        FillTwice("block", street => Waiting(street) > 3, accepted => Assert.Equal(0, accepted.Sum(a => a.Refused)));

    // Lines cut anywhere, lines of 1 MiB, processes that come and go: each kind of writer meets the full log, and the kill of the mount's process there.
    private static void FillTwice(string whenFull, Func<Street, bool> isFull, Action<IReadOnlyList<Accepted>> check)
    {
        using var scene = new Scene(200);
        var street = new Street(scene, $"quota: 4MiB\n    when_full: {whenFull}").Open();
        var writers = new Writers(scene, street.MountPoint, first: 0, count: 12, seed: 1);
        for (var times = 1; times <= 2; times++)
        {
            // Not ended: nobody has to wait until the agent dials again.
            street.Collector.Signal(SIGSTOP);
            Eventually.Is(() => isFull(street), "a full log", scene.Report);
            var child = street.Agent.WaitForChild(Street.MountChild);
            _ = Libc.Kill(child, Libc.SIGKILL);
            street.Agent.WaitForChild(Street.MountChild, notPid: child);
            Eventually.Is(() => isFull(street), "a full log at the successor", scene.Report);
            var arrived = FileLength.Of(street.Output);
            street.Collector.Signal(SIGCONT);
            Eventually.Is(() => FileLength.Of(street.Output) > arrived + (6 << 20), "writers go on by themselves", scene.Report, TimeSpan.FromSeconds(90));
        }
        writers.Stop(TimeSpan.FromMinutes(1));

        var accepted = writers.Read();
        Assert.All(accepted, a => Assert.Equal("none", a.Error));
        check(accepted);
        Eventually.Is(() => FileLength.Of(street.Output) >= accepted.Sum(a => a.Bytes), "all bytes", scene.Report, TimeSpan.FromSeconds(90));
        Writers.AssertArrived(scene, [writers], [street.Output]);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [MountFact]
    public void Of_a_write_that_was_accepted_in_part_that_part_arrives()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 16MiB");
        street.StartAgent();

        var (accepted, error) = Fill(scene, $"{street.MountPoint}/large.log", 5 << 20, f => f.WaitForExit());

        Assert.True(error is "SHORT" or "ENOSPC", error);
        street.StartCollector();
        AssertFilled(scene, street.Output, accepted);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [MountFact]
    public void A_writer_that_waits_for_room_can_be_interrupted_and_everything_else_goes_on()
    {
        using var scene = new Scene(150);
        var folder = scene.MakeFolder("out");
        var street = new Street(scene, "quota: 4MiB\n    when_full: block", output: $"{folder}/{{path}}");
        var mount = street.MountPoint;
        File.WriteAllText(Path.Join(mount, "before.log"), "from before\n");
        street.StartAgent();
        scene.ShellOk($"mkdir {mount}/load");
        var load = Load.Start(scene, $"{mount}/load", writers: 2, lines: 20_000, bytes: 512);
        var terminated = scene.Start(Checkout.Chaos, "fill", $"{mount}/terminated.log", "4096");
        var killed = scene.Start(Checkout.Chaos, "fill", $"{mount}/killed.log", "4096");
        Eventually.Is(() => Waiting(street) is 4, "four writers wait", scene.Report);

        // Everything but writing.
        scene.ShellOk($"cd {mount}; timeout 20 sh -ec 'ls -l >/dev/null; stat load/w0.log >/dev/null; cat before.log >/dev/null; head -c 100 load/w0.log >/dev/null; "
            + "touch new.log; mv new.log newer.log; chmod 600 newer.log; rm newer.log; mkdir d; rmdir d; : >> other.log; df . >/dev/null'");
        Assert.Equal(4, Waiting(street));

        // A signal ends the wait: at once, with EINTR, and nothing of that write is carried. Also when the mount's process is another one meanwhile.
        var interrupted = new List<(long Accepted, string Error)>();
        foreach (var successor in (bool[])[false, true])
        {
            interrupted.Add(Fill(scene, $"{mount}/interrupted{interrupted.Count}.log", 4096, fill =>
            {
                Eventually.Is(() => Waiting(street) is 5, "a fifth writer waits", scene.Report);
                if (successor)
                {
                    var child = street.Agent.WaitForChild(Street.MountChild);
                    _ = Libc.Kill(child, Libc.SIGKILL);
                    street.Agent.WaitForChild(Street.MountChild, notPid: child);
                    Eventually.Is(() => Waiting(street) is 5, "five writers wait at the successor", scene.Report);
                }
                fill.Signal(SIGUSR1);
                fill.WaitForExit();
            }));
            Assert.Equal("EINTR", interrupted[^1].Error);
        }
        foreach (var (victim, signal) in (ReadOnlySpan<(Command, int)>)[(terminated, Libc.SIGTERM), (killed, Libc.SIGKILL)])
            victim.Stop(signal);
        Eventually.Is(() => Waiting(street) is 2, "two writers still wait", scene.Report);
        Assert.True(load.IsRunning);

        street.StartCollector();

        var result = load.Wait();
        Assert.True(result.Failed is 0, result.Errors);
        Load.AssertArrived(scene, result, $"{folder}/load/w0.log", $"{folder}/load/w1.log");
        for (var i = 0; i < interrupted.Count; i++)
            AssertFilled(scene, $"{folder}/interrupted{i}.log", interrupted[i].Accepted);
        foreach (var file in (string[])[$"{folder}/terminated.log", $"{folder}/killed.log"])
            AssertFilled(scene, file, FileLength.Of(file) / 4096 * 4096);
        Assert.False(Directory.Exists($"{folder}/d"));
        Eventually.Is(() => Waiting(street) is 0, "nobody waits", scene.Report);
        street.CloseCleanly();
    }

    [MountFact]
    public void An_agent_stops_although_writers_wait_for_room_and_the_next_one_carries_what_was_accepted()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 4MiB\n    when_full: block");
        street.StartAgent();
        var load = Load.Start(scene, street.MountPoint, writers: 3, bytes: 2048);
        Eventually.Is(() => Waiting(street) is 3, "three writers wait", scene.Report);

        Assert.Equal(0, street.Agent.Stop());

        var result = load.Wait();
        Assert.Equal(3, result.Failed);
        street.StartAgent();
        street.StartCollector();
        Load.AssertArrived(scene, result, street.Output);
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [MountFact]
    public void Dropping_the_oldest_never_stops_a_writer_and_each_line_that_is_gone_is_counted()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 8MiB\n    when_full: drop_oldest");
        street.StartAgent();

        var result = Load.Start(scene, street.MountPoint, writers: 3, bytes: 1024, lines: 15_000).Wait();

        Assert.True(result.Failed is 0, result.Errors);
        street.StartCollector();
        street.AssertFreshLineArrives();
        scene.ShellOk($"sed -i '/^fresh /d' {street.Output}");
        var verdict = Load.Verdict(scene, result, street.Output);
        Assert.True(verdict is { Twice: 0, Reordered: 0, Damaged: 0 }, $"{verdict}");
        var lost = verdict.Lost;
        Assert.True(lost > 0);
        Assert.Equal(result.Lines - lost, verdict.Lines);
        // Once a second it is counted, and said.
        Eventually.Is(() => Lost(street).Sum(s => s.Records) == lost && Reported(street) == lost, $"a report of {lost} lost lines", () => $"{Lost(street).Sum(s => s.Records)} in status, {Reported(street)} in the journal\n{scene.Report()}");
        Assert.Equal(3, Lost(street).Count(s => s.Records > 0));
        Assert.Contains($"LOSS    writes dropped because the log was full: {lost}\n", scene.RunHikyaku("status", "-c", street.AgentFile).Output, StringComparison.Ordinal);
        output.WriteLine($"{result.Lines} lines, {lost} dropped, longest write(2) {result.Longest.TotalMilliseconds:F0} ms");
        street.CloseCleanly();
    }

    [MountFact]
    public void A_receiver_that_is_too_slow_for_writers_that_drop_the_oldest_gets_the_rest_once_and_in_order()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 4MiB\n    when_full: drop_oldest").Open();
        // Stopped and let go on, so that it is overtaken in the midst of reading, whatever is faster on this machine.
        var load = Load.Start(scene, street.MountPoint, writers: 3, bytes: 1024, lines: 30_000);
        for (var i = 0; load.IsRunning || i < 3; i++)
        {
            street.Collector.Signal(i % 2 is 0 ? SIGSTOP : SIGCONT);
            Thread.Sleep(150);
        }
        street.Collector.Signal(SIGCONT);
        var result = load.Wait();
        Assert.True(result.Failed is 0, result.Errors);
        street.AssertFreshLineArrives();

        scene.ShellOk($"sed -i '/^fresh /d' {street.Output}");
        var verdict = Load.Verdict(scene, result, street.Output);
        Assert.True(verdict is { Twice: 0, Reordered: 0, Damaged: 0 }, $"{verdict}");
        // What a reader had before it in the moment of the drop has arrived although it is counted.
        Eventually.Is(() => Lost(street).Sum(s => s.Records) >= verdict.Lost && Reported(street) >= verdict.Lost, $"a report of {verdict.Lost} lost lines",
            () => $"{Lost(street).Sum(s => s.Records)} in status, {Reported(street)} in the journal\n{scene.Report()}");
        output.WriteLine($"{result.Lines} lines, {verdict.Lost} lost, {Lost(street).Sum(s => s.Records)} counted, longest write(2) {result.Longest.TotalMilliseconds:F0} ms");
        street.CloseCleanly();
    }

    [RootFact]
    public void A_receiver_that_drops_the_oldest_while_its_disk_is_full_says_how_many_lines()
    {
        using var scene = new Scene();
        var disk = new SmallDisk(scene, "disk", 128 << 20);
        var street = new Street(scene, receiveLines: "quota: 16MiB\n  when_full: drop_oldest", output: Path.Join(disk.Path, "out.log")).Open();
        street.Echo("the file is there");
        street.WaitForLine("the file is there");
        Assert.True(disk.Fill());
        var result = Load.Start(scene, street.MountPoint, writers: 2, bytes: 1024, lines: 20_000).Wait();
        Assert.True(result.Failed is 0, result.Errors);
        // It takes everything, for it makes room by dropping.
        Eventually.Is(() => scene.RunHikyaku("status", "-c", street.AgentFile).Output.Contains("nothing queued", StringComparison.Ordinal), "an empty queue of the agent", scene.Report, TimeSpan.FromMinutes(1));

        disk.Free();

        street.AssertFreshLineArrives();
        scene.ShellOk($"sed -i '/^fresh /d; /^the file is there/d' {street.Output}");
        var verdict = Load.Verdict(scene, result, street.Output);
        Assert.True(verdict is { Twice: 0, Reordered: 0, Damaged: 0, Lost: > 0 }, $"{verdict}");
        Eventually.Is(() => Regex.Match(scene.RunHikyaku("status", "-c", street.CollectorFile).Output, @"receive .*\n  LOSS +dropped[^:]*: (\d+)") is { Success: true } said
            && long.Parse(said.Groups[1].Value, CultureInfo.InvariantCulture) >= verdict.Lost, $"a report of {verdict.Lost} lost lines", () => scene.RunHikyaku("status", "-c", street.CollectorFile).Output + scene.Report());
        Assert.Contains("drop_oldest", street.Collector.Said, StringComparison.Ordinal);
        output.WriteLine($"{result.Lines} lines, {verdict.Lost} lost");
        street.CloseCleanly();
    }

    [MountFact]
    public void More_than_64_MiB_of_waiting_writes_are_refused_and_the_others_still_wait()
    {
        using var scene = new Scene();
        var street = new Street(scene, "quota: 4MiB\n    when_full: block");
        street.StartAgent();
        var fills = Enumerable.Range(0, 72).Select(i => scene.Start(Checkout.Chaos, "fill", $"{street.MountPoint}/{i}.log", $"{1 << 20}")).ToList();
        Eventually.Is(() => Waiting(street) + fills.Count(f => f.HasExited) == fills.Count, "everyone waits or is refused", scene.Report);

        // A buffer that begins in the midst of a page is one request a little smaller, and another one.
        Assert.InRange(Waiting(street), 60, 68);
        Assert.All(fills.Where(f => f.HasExited), f => Assert.Contains("ENOSPC", f.Output, StringComparison.Ordinal));
        fills.Where(f => !f.HasExited).ToList().ForEach(f => f.Signal(Libc.SIGKILL));
        fills.ForEach(f => f.WaitForExit());
        Eventually.Is(() => Waiting(street) is 0, "nobody waits", scene.Report);
        street.StartCollector();
        street.AssertFreshLineArrives();
        street.CloseCleanly();
    }

    [RootFact]
    public void An_agent_that_is_started_on_a_full_disk_carries_what_it_has()
    {
        using var scene = new Scene();
        var disk = new SmallDisk(scene, "disk", 64 << 20);
        var street = new Street(scene, "quota: 32MiB", agentState: Path.Join(disk.Path, "state"));
        street.StartAgent();
        var result = Load.Start(scene, street.MountPoint, writers: 2, bytes: 4096).Wait();
        Assert.Equal("{\"ENOSPC\":2}", result.Errors);
        Assert.Equal(0, street.Agent.Stop());
        Assert.True(disk.Fill());

        street.StartAgent();
        street.StartCollector();

        Load.AssertArrived(scene, result, street.Output);
        Eventually.Is(() => scene.Shell($"echo accepted again >> {street.MountPoint}/access.log").ExitCode is 0, "room again", scene.Report);
        street.WaitForLine("accepted again");
        street.CloseCleanly();
    }

    [RootFact]
    public void A_receiver_that_is_started_on_a_full_disk_goes_on_when_there_is_room()
    {
        using var scene = new Scene();
        var disk = new SmallDisk(scene, "collector-state", 64 << 20);
        var street = new Street(scene, receiveLines: "quota: 16MiB").Open();
        street.Echo("first");
        street.WaitForLine("first");
        foreach (var end in (Func<int>[])[() => street.Collector.Stop(), () => { street.Collector.Kill(); return 0; }])
        {
            Assert.Equal(0, end());
            Assert.True(disk.Fill());
            street.StartCollector();
            var load = Load.Start(scene, street.MountPoint, writers: 2, bytes: 4096, lines: 5000);
            var result = load.Wait();
            Assert.Equal(0, result.Failed);
            disk.Free();
            street.AssertFreshLineArrives();
            Assert.Equal(0, street.Collector.Stop());
            scene.ShellOk($"sed -i '/^f/d' {street.Output}");
            Load.AssertArrived(scene, result, street.Output);
            File.Delete(street.Output);
            street.StartCollector();
        }
        street.CloseCleanly();
    }

    [MountFact]
    public void A_receiver_that_is_away_costs_disk_and_neither_memory_nor_the_time_of_another_receiver()
    {
        const int BacklogMiB = 200, LineBytes = 1024;
        using var scene = new Scene(300);
        var (near, far) = (Scene.FreePort(), Scene.FreePort());
        var mount = scene.MakeFolder("mnt");
        scene.ShellOk($"mkdir {mount}/steady {mount}/bulk");
        var agentFile = scene.Write("agent.yaml", $$"""
            state: {{scene["agent"]}}
            mounts: { logs: { at: {{mount}}, quota: 2GiB } }
            routes:
              - { name: near, to: { forward: { servers: ["127.0.0.1:{{near}}"] } } }
              - { name: far, to: { forward: { servers: ["127.0.0.1:{{far}}"] } } }
            """);
        Command Collector(string name, int port)
        {
            var command = scene.Hikyaku("run", "-c", scene.Write($"{name}.yaml", $$"""
                state: {{scene[name + "-state"]}}
                receive: { forward: { listen: "127.0.0.1:{{port}}" } }
                routes: [ { name: all, to: { file: { path: "{{scene[name]}}/{path}" } } } ]
                """));
            return command;
        }
        var nearCollector = Collector("near", near);
        var farCollector = Collector("far", far);
        var agent = scene.Hikyaku("run", "-c", agentFile);
        Eventually.Is(() => Mounts.IsMounted(mount), "the mount", scene.Report);
        var steady = Load.Start(scene, $"{mount}/steady", writers: 2, bytes: LineBytes, rate: 500);
        string[] steadyNear = [scene["near/steady/w0.log"], scene["near/steady/w1.log"]], steadyFar = [scene["far/steady/w0.log"], scene["far/steady/w1.log"]];
        Eventually.Is(() => FileLength.Of(steadyNear) > 1 << 20 && FileLength.Of(steadyFar) > 1 << 20, "lines at both", scene.Report);
        var before = MedianLatency();

        Assert.Equal(0, farCollector.Stop());
        var small = Memory();
        var bulk = Load.Start(scene, $"{mount}/bulk", writers: 2, bytes: LineBytes, lines: BacklogMiB * 512).Wait();
        Load.AssertArrived(scene, bulk, scene["near/bulk/w0.log"], scene["near/bulk/w1.log"]);
        var during = MedianLatency();
        var large = Memory();

        output.WriteLine($"memory of mount and transfer (private, all) with a small backlog {Show(small)}, with {BacklogMiB} MiB {Show(large)}");
        output.WriteLine($"median latency of the other receiver before {before.TotalMilliseconds:F2} ms, during {during.TotalMilliseconds:F2} ms");
        var arrived = FileLength.Of(steadyNear);
        Eventually.Is(() => FileLength.Of(steadyNear) > arrived + (1 << 20), "lines go on arriving at the other receiver", scene.Report);
        Assert.All(steadyFar, f => Assert.True(FileLength.Of(f) < FileLength.Of(steadyNear)));
        for (var i = 0; i < small.Length; i++)
        {
            Assert.True(large[i].Private < small[i].Private + (BacklogMiB << 18), $"private memory grew from {Show(small)} to {Show(large)}");
            // A reader and a writer map a segment of 32 MiB each; the kernel takes these pages back whenever it wants.
            Assert.True(large[i].All < small[i].All + (BacklogMiB << 20), $"memory grew from {Show(small)} to {Show(large)}");
        }

        var back = Stopwatch.StartNew();
        farCollector = Collector("far", far);
        Load.AssertArrived(scene, bulk, scene["far/bulk/w0.log"], scene["far/bulk/w1.log"]);
        output.WriteLine($"{BacklogMiB} MiB had arrived {back.Elapsed.TotalSeconds:F1} s after the receiver was back");
        Assert.True(steady.IsRunning);
        var result = steady.Stop();
        Assert.True(result.Failed is 0, result.Errors);
        Load.AssertArrived(scene, result, steadyNear);
        Load.AssertArrived(scene, result, steadyFar);
        Eventually.Is(() => scene.RunHikyaku("status", "-c", agentFile).Output is var page && !page.Contains("LOSS", StringComparison.Ordinal) && page.Split("nothing queued").Length is 3, "an empty queue for both", scene.Report);
        Assert.All((Command[])[agent, nearCollector, farCollector], c => Assert.Equal(0, c.Stop()));

        TimeSpan MedianLatency()
        {
            var latency = scene.Start(Checkout.Load, "latency", "--dir", mount, "--out", scene["near/latency.log"], "--count", "100", "--pause-ms", "10");
            latency.WaitForExit();
            Assert.True(latency.ExitCode is 0, latency.Said);
            using var json = JsonDocument.Parse(latency.Output);
            return TimeSpan.FromMicroseconds(json.RootElement.GetProperty("median_us").GetDouble());
        }

        (long Private, long All)[] Memory() => [Resident(agent.WaitForChild(Street.MountChild)), Resident(agent.WaitForChild(Street.TransferChild))];
    }

    private static string Show((long Private, long All)[] memory) => string.Join(" + ", memory.Select(m => $"{m.Private >> 20}/{m.All >> 20} MiB"));

    // In bytes: what nobody else has, and with what is mapped from files.
    private static (long Private, long All) Resident(int pid)
    {
        var lines = File.ReadAllLines($"/proc/{pid}/status");
        long Of(string name) => long.Parse(lines.First(l => l.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) << 10;
        return (Of("RssAnon:"), Of("VmRSS:"));
    }

    private static (long Accepted, string Error) Fill(Scene scene, string file, int bytes, Action<Command> untilEnd)
    {
        var fill = scene.Start(Checkout.Chaos, "fill", file, bytes.ToString(CultureInfo.InvariantCulture));
        untilEnd(fill);
        var words = fill.Output.Trim().Split(' ');
        return (long.Parse(words[0], CultureInfo.InvariantCulture), words[1]);
    }

    // What 'chaos fill' writes are lines of 64 bytes; the last one may have been cut, and has got its end from the close.
    private static void AssertFilled(Scene scene, string file, long accepted)
    {
        Eventually.Is(() => FileLength.Of(file) >= accepted, $"{accepted} bytes in {file}", () => $"There are {FileLength.Of(file)}.\n{scene.Report()}");
        if (accepted is 0)
            return;
        var arrived = File.ReadAllBytes(file);
        var cut = accepted % 64 is not 0;
        Assert.True(arrived.Length == accepted + (cut ? 1 : 0), $"{accepted} bytes were accepted and {arrived.Length} arrived");
        // Where the same text comes again every 64 x 13 bytes, a gap and a double show in every line that follows.
        for (var i = 0; i < arrived.Length; i++)
            if (arrived[i] != (i % 64 is 63 || (cut && i == accepted) ? '\n' : 'a' + (i % 26)))
                Assert.Fail($"byte {i} of {file} is {arrived[i]}");
    }

    private static long Refused(Street street) => Mount(street)?.GetProperty("refused").GetInt64() ?? 0;

    private static long Waiting(Street street) => Mount(street)?.GetProperty("blockedNow").GetInt64() ?? 0;

    private static List<(string Path, long Records)> Lost(Street street) => Mount(street) is { } mount
        ? [.. mount.GetProperty("sources").EnumerateArray().Select(s => (s.GetProperty("path").GetString()!, s.GetProperty("lostRecords").GetInt64()))] : [];

    // The sum of what the journal says was dropped.
    private static long Reported(Street street) =>
        Regex.Matches(street.Agent.Said, @"mount logs: (\d+) writes .* dropped .*drop_oldest").Sum(m => long.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture));

    // What the mount's living process says of itself.
    private static JsonElement? Mount(Street street)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllText(Path.Join(street.AgentState, "status/mount-logs.json")));
            return json.RootElement.GetProperty("process").GetInt32() == street.Agent.Child(Street.MountChild) ? json.RootElement.GetProperty("mount").Clone() : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }
}
