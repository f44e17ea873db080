using System.Globalization;
using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd.Chaos;

/// <summary>
/// Four hosts, and everything goes wrong that can: HIKYAKU_CHAOS_SECONDS says for how long (60), HIKYAKU_SEED repeats what is
/// done when, as far as a real kernel can.
/// </summary>
public sealed class ChaosTests(ITestOutputHelper output)
{
    private const int WritersEach = 6;

    // Reached only by a test that fails: an acknowledgement lost with a cable is waited for half a minute, more than once.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private static int Seconds { get; } = Number("HIKYAKU_CHAOS_SECONDS", 60);

    [RootFact]
    public void Whatever_happens_to_four_hosts_each_accepted_line_arrives_once_and_in_order()
    {
        var seed = Number("HIKYAKU_SEED", Environment.TickCount & 0xFFFFFF);
        output.WriteLine($"seed {seed}, {Seconds} s");
        using var network = new Network("sender", "relay", "one", "two");
        using var scene = new Scene(Seconds + 900);
        // The output of one lies on a small disk; of two, all that it remembers.
        var outputDisk = new SmallDisk(scene, "one-output", 8L << 30);
        var stateDisk = new SmallDisk(scene, "two", 2L << 30);
        var mount = scene.MakeFolder("mnt");
        var arrivedAtRelay = scene["relay.log"];
        var arrivedAtOne = Path.Join(outputDisk.Path, "one.log");
        var arrivedAtTwo = scene.MakeFolder("two-output");

        var one = new Host(scene, network, "one", $$"""
            receive: { forward: { listen: "0.0.0.0:24224" }, quota: 512MiB }
            routes: [ { name: all, to: { file: { path: {{arrivedAtOne}} } } } ]
            """).Start();
        var two = new Host(scene, network, "two", $$"""
            receive: { forward: { listen: "0.0.0.0:24224" }, quota: 512MiB }
            routes: [ { name: all, to: { file: { path: "{{arrivedAtTwo}}/{host}/{path}" } } } ]
            """).Start();
        var relay = new Host(scene, network, "relay", $$"""
            receive: { forward: { listen: "0.0.0.0:24224" }, quota: 8GiB }
            routes:
              - { name: one, to: { forward: { servers: ["{{network.Address("one")}}"] }, file: { path: {{arrivedAtRelay}} } } }
              - { name: two, match: "relayed/**", to: { forward: { servers: ["{{network.Address("two")}}"] } } }
            """).Start();
        var sender = new Host(scene, network, "sender", $$"""
            mounts: { logs: { at: {{mount}}, quota: 8GiB } }
            routes:
              - { name: relayed, to: { forward: { servers: ["{{network.Address("relay")}}"] } } }
              - { name: direct, match: "both/**", to: { forward: { servers: ["{{network.Address("two")}}"] } } }
            """).Start();
        Host[] hosts = [sender, relay, one, two];
        Eventually.Is(() => sender.Run.HasExited || Mounts.IsMounted(mount), "the mount", scene.Report);
        scene.ShellOk($"mkdir {mount}/both {mount}/relayed");

        Writers[] writers = [new(scene, $"{mount}/both", 0, WritersEach, seed), new(scene, $"{mount}/relayed", WritersEach, WritersEach, seed)];
        var faults = new Faults(seed, network, sender, [relay, one, two], [outputDisk, stateDisk]);
        string Story() => $"seed {seed}\n{faults.Story}\n{scene.Report()}";
        for (var end = Environment.TickCount64 + (Seconds * 1000L); Environment.TickCount64 < end; Thread.Sleep(20))
        {
            faults.Tick();
            foreach (var host in hosts)
                host.Look();
            Assert.True(writers.All(w => w.IsRunning), $"Writers have ended.\n{Story()}");
        }
        faults.End();
        foreach (var host in hosts)
            host.Look();

        foreach (var some in writers)
            some.Stop(Patience);
        var accepted = writers.SelectMany(w => w.Read()).ToList();
        var bytes = accepted.Sum(a => a.Bytes);
        var waiting = System.Diagnostics.Stopwatch.StartNew();
        output.WriteLine($"{faults.Kills} kills, {faults.Stops} stops, {faults.Cuts} cuts, {faults.Disturbances} disturbed cables ({network.Quality}), {faults.Fills} full disks; "
            + $"{accepted.Sum(a => a.Lines)} lines, {bytes >> 20} MiB, {accepted.Sum(a => a.Refused)} writes refused; longest write(2) {accepted.Max(a => a.Longest).TotalSeconds:F2} s");
        Assert.True(accepted.TrueForAll(a => a is { Error: "none", Lines: > 0 }), $"{string.Join('\n', accepted.Select(a => a.Line))}\n{Story()}");

        (string Name, Func<string[]> Files)[] places = [("the relay", () => [arrivedAtRelay]), ("one", () => [arrivedAtOne]), ("two", () => Files(arrivedAtTwo))];
        foreach (var (name, files) in places)
        {
            Eventually.Is(() => FileLength.Of(files()) >= bytes, $"{bytes} bytes at {name}", () => $"There are {FileLength.Of(files())}.\n{Story()}\n{string.Join('\n', hosts.Select(h => h.Complaints(out _)))}", Patience);
            output.WriteLine($"everything was at {name} {waiting.Elapsed.TotalSeconds:F1} s after the last fault");
        }
        foreach (var (_, files) in places)
            Writers.AssertArrived(scene, writers, files());

        scene.ShellOk($"echo fresh and last >> {mount}/both/fresh.log");
        foreach (var file in (string[])[arrivedAtRelay, arrivedAtOne, $"{arrivedAtTwo}/sender/both/fresh.log"])
            Eventually.Is(() => scene.Shell($"tail -n 1 {file}").Output is "fresh and last\n", $"a fresh line in {file}", Story, Patience);
        foreach (var host in hosts)
        {
            var complaints = "";
            Eventually.Is(() => (complaints = host.Complaints(out _)) is "", $"a status of '{host.Name}' without complaints", () => $"{complaints}\n{Story()}");
        }
        foreach (var host in hosts)
            Assert.True(host.Run.Stop() is 0, Story());
        File.Delete($"{mount}/both/fresh.log");
        // What was renamed is older than what bears the name.
        Writers.AssertArrived(scene, writers, Files(mount).OrderBy(f => f.EndsWith(".log", StringComparison.Ordinal)).ThenBy(f => f, StringComparer.Ordinal));
    }

    [Fact]
    public void The_judge_notices_a_line_that_is_lost_or_double_or_late_or_damaged_or_nobodys()
    {
        using var scene = new Scene();
        var writers = new Writers(scene, scene.MakeFolder("plain"), first: 0, count: 6, seed: 3);
        Eventually.Is(() => Files(scene["plain"]).Length is 6 && Array.TrueForAll(Files(scene["plain"]), f => new FileInfo(f).Length > 20_000), "some lines", scene.Report);
        writers.Stop(Patience);
        var files = Files(scene["plain"]);
        Writers.AssertArrived(scene, [writers], files);
        var lines = File.ReadAllLines(scene["plain/w00.log"]);

        foreach (var (what, change) in (ReadOnlySpan<(string, Func<string[], string[]>)>)[
            ("lost", l => [.. l[..5], .. l[6..]]),
            ("lost", l => l[..^1]),
            ("twice", l => [.. l, l[3]]),
            ("reordered", l => [.. l[..5], l[6], l[5], .. l[7..]]),
            ("damaged", l => [.. l[..5], l[5].Replace('a', 'b'), .. l[6..]]),
            ("damaged", l => [.. l, "something else"]),
            // As if the last write had failed.
            ("foreign", l =>
            {
                var result = File.ReadAllText(writers.Result);
                File.WriteAllText(writers.Result, result.Replace($"writer 0 kind line lines {l.Length} ", $"writer 0 kind line lines {l.Length - 1} ", StringComparison.Ordinal));
                return l;
            }),
        ])
        {
            File.WriteAllLines(scene["plain/w00.log"], change(lines));
            var failure = Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => Writers.AssertArrived(scene, [writers], files));
            Assert.Matches($"\"{what}\":1[,}}]", failure.Message);
        }
    }

    private static string[] Files(string folder) => Directory.GetFiles(folder, "*", SearchOption.AllDirectories);

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var given) ? given : otherwise;
}
