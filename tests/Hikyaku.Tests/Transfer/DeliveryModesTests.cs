using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Servers;
using Xunit;

namespace Hikyaku.Tests.Transfer;

/// <summary>One agent, several receivers on loopback, and which of them gets what.</summary>
public sealed class DeliveryModesTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-modes-").FullName;
    private readonly ConcurrentQueue<string> _reports = new();
    private readonly int _bell = WrittenLog.MakeBell();
    private readonly List<WrittenLog> _logs = [];
    private readonly Dictionary<string, RunningTransfer> _receivers = [];
    private readonly Dictionary<string, int> _ports = [];
    private RunningTransfer? _agent;
    private int _written;

    private string ListPath => Path.Combine(_root, "servers");

    [Fact]
    public async Task Broadcast_brings_each_line_to_each_server_once_and_a_slow_one_holds_back_nobody()
    {
        Receive("a", "b");
        Start(new ForwardOutputSettings([Server("a"), Server("b"), Server("away")]) { Deliver = DeliverMode.Broadcast });
        Write(1000);
        await Until(() => Lines("a").Count == 1000 && Lines("b").Count == 1000);
        Receive("away");
        await Until(() => Lines("away").Count == 1000);

        foreach (var name in new[] { "a", "b", "away" })
            Assert.Equal(Written(1000), Lines(name));
    }

    [Fact]
    public async Task The_position_of_a_server_outlives_a_loss_of_power_as_soon_as_it_has_one()
    {
        var disk = new PoweredDisk();
        Start(new ForwardOutputSettings([Server("away")]) { Deliver = DeliverMode.Broadcast }, disk: disk);
        await Until(() => disk.Outlives(Path.Combine(_root, "agent", "cursors", "web", $"route-forward@{Server("away").Address}.cursor")));
    }

    [Fact]
    public async Task Copies_are_at_so_many_different_servers()
    {
        Receive("a", "b", "c");
        Start(new ForwardOutputSettings([Server("a"), Server("b"), Server("c")]) { Copies = 2 });
        for (var i = 1; i <= 20; i++)
        {
            Write(50);
            await Until(() => All().Count == i * 100);
        }

        foreach (var group in All().GroupBy(static l => l, StringComparer.Ordinal))
            Assert.Equal(2, group.Count());
        Assert.All(new[] { "a", "b", "c" }, name => Assert.Equal(Lines(name).Distinct(StringComparer.Ordinal), Lines(name)));
    }

    [Fact]
    public async Task Lines_of_one_file_stay_together_with_hash_and_all_servers_have_their_share()
    {
        Receive("a", "b", "c");
        Start(new ForwardOutputSettings([Server("a"), Server("b"), Server("c")]) { Deliver = DeliverMode.Hash });
        await Until(() => Healthy() == 0 && _agent!.Process.Status().Pumps.Count == 1);
        for (var round = 0; round < 5; round++)
        {
            for (var file = 0; file < 60; file++)
                _logs[0].Write($"f{file}.log", (ulong)file + 1, $"f{file} {round}\n");
            await Until(() => All().Count == 60 * (round + 1));
        }

        var places = All().Select(static l => l.Split(' ')[0]).Distinct(StringComparer.Ordinal)
            .ToDictionary(static f => f, f => _receivers.Keys.Where(name => Lines(name).Exists(l => l.StartsWith(f + " ", StringComparison.Ordinal))).ToArray(), StringComparer.Ordinal);
        Assert.Equal(60, places.Count);
        Assert.All(places.Values, static p => Assert.Single(p));
        Assert.All(_receivers.Keys, name => Assert.InRange(places.Values.Count(p => p[0] == name), 5, 40));
    }

    [Fact]
    public async Task Hash_goes_to_the_others_while_one_is_away()
    {
        Receive("a");
        Start(new ForwardOutputSettings([Server("a"), Server("away")]) { Deliver = DeliverMode.Hash });
        for (var file = 0; file < 40; file++)
            _logs[0].Write($"f{file}.log", (ulong)file + 1, $"f{file}\n");
        await Until(() => Lines("a").Count == 40);
    }

    [Fact]
    public async Task Failover_takes_the_next_while_the_first_is_away_and_goes_back_when_it_is_there()
    {
        Receive("b", "standby");
        Start(new ForwardOutputSettings([Standby("standby"), Server("a"), Server("b")]) { Deliver = DeliverMode.Failover });
        Write(100);
        await Until(() => Lines("b").Count == 100);
        Receive("a");
        await UntilLinesGoTo("a");
        await StopAsync("a");
        await StopAsync("b");
        await UntilLinesGoTo("standby");
        Receive("a");
        await UntilLinesGoTo("a");
        Receive("b");
        await Until(() => All().Count == _written);

        Assert.Equal(Written(_written), All().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_standby_gets_lines_only_while_no_other_server_is_healthy()
    {
        Receive("a", "standby");
        Start(new ForwardOutputSettings([Server("a"), Standby("standby")]));
        Write(100);
        await Until(() => Lines("a").Count == 100);
        Assert.Empty(Lines("standby"));
        await StopAsync("a");
        await UntilLinesGoTo("standby");
        Receive("a");
        await UntilLinesGoTo("a");
        await Until(() => All().Count == _written);
    }

    [Fact]
    public async Task Shares_follow_the_weights()
    {
        Receive("light", "heavy");
        Start(new ForwardOutputSettings([Server("light"), Server("heavy") with { Weight = 9 }]));
        for (var i = 1; i <= 300; i++)
        {
            Write(1);
            await Until(() => All().Count == i);
        }

        // One in ten of 300.
        Assert.InRange(Lines("light").Count, 8, 75);
    }

    [Fact]
    public async Task What_a_server_does_not_acknowledge_in_time_goes_to_another_and_is_counted()
    {
        await using var silent = new SilentServer();
        _ports["silent"] = silent.Port;
        Start(new ForwardOutputSettings([Server("silent"), Server("a")]) { Deliver = DeliverMode.Failover, FailoverAfter = TimeSpan.FromSeconds(1) });
        Write(10);
        await Until(() => silent.Bytes > 0);
        Receive("a");
        await Until(() => Lines("a").Count == 10);

        var pump = Assert.Single(_agent!.Process.Status().Pumps);
        Assert.Equal(10, pump.Losses.Single(static l => l.Key.Contains("may have arrived twice", StringComparison.Ordinal)).Value);
        Assert.Single(_reports, static r => r.Contains("goes to another server", StringComparison.Ordinal));
        Assert.False(pump.Receivers[0].Healthy);
    }

    [Fact]
    public async Task Parts_of_a_hashed_chunk_may_go_to_a_server_that_has_a_part_already()
    {
        await using var silent = new SilentServer();
        _ports["silent"] = silent.Port;
        Receive("a");
        Start(new ForwardOutputSettings([Server("a"), Server("silent")]) { Deliver = DeliverMode.Hash, FailoverAfter = TimeSpan.FromSeconds(1) });
        for (var file = 0; file < 40; file++)
            _logs[0].Write($"f{file}.log", (ulong)file + 1, $"f{file}\n");
        await Until(() => silent.Bytes > 0);
        await Until(() => Lines("a").Count == 40);
        Assert.Equal(40, Lines("a").Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task A_part_that_went_elsewhere_is_repeated_there_after_a_restart()
    {
        await using var silent = new SilentServer();
        await using var other = new SilentServer();
        (_ports["silent"], _ports["a"]) = (silent.Port, other.Port);
        var settings = new ForwardOutputSettings([Server("silent"), Server("a")]) { Deliver = DeliverMode.Hash, FailoverAfter = TimeSpan.FromSeconds(3) };
        Start(settings with { Servers = [Server("silent")] });
        Write(10);
        await Until(() => silent.Bytes > 0);
        await _agent!.DisposeAsync();
        Start(settings with { FailoverAfter = TimeSpan.FromSeconds(3) });
        await Until(() => other.Bytes > 0);
        await _agent!.DisposeAsync();
        await other.DisposeAsync();
        Receive("a");
        var before = silent.Bytes;
        Start(settings with { FailoverAfter = null });
        await Until(() => Lines("a").Count == 10);
        Assert.Equal(before, silent.Bytes);
    }

    [Fact]
    public async Task A_server_that_acknowledges_nothing_gets_no_more_within_seconds()
    {
        await using var silent = new SilentServer();
        _ports["silent"] = silent.Port;
        Receive("a");
        Start(new ForwardOutputSettings([Server("silent"), Server("a")]));
        var start = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(4))
        {
            Write(1);
            await Task.Delay(20);
        }

        await Until(() => _agent!.Process.Status().Pumps[0].Receivers[0].ChunksInFlight == 1);
        var waiting = _agent!.Process.Status().Pumps[0].LinesInFlight;
        Write(200);
        await Until(() => Lines("a").Count + waiting == _written);
    }

    [Fact]
    public async Task Servers_come_and_go_by_a_file_without_a_restart()
    {
        Receive("a", "b");
        File.WriteAllText(ListPath, Server("a").Address + "\n");
        Start(new ForwardOutputSettings([]) { File = new ServersFile(ListPath, Parse) });
        Write(100);
        await Until(() => Lines("a").Count == 100);
        Replace(Server("a").Address + "\n" + Server("b").Address + "\n");
        await UntilLinesGoTo("b");
        Replace("");
        await Until(() => _reports.Any(static r => r.Contains("names no server", StringComparison.Ordinal)));
        Replace("what is this?\n");
        await Until(() => _reports.Any(static r => r.Contains("not a server", StringComparison.Ordinal)));
        Write(10);
        await Until(() => All().Count == _written);
        Replace(Server("b").Address + "\n");
        await Until(() => _agent!.Process.Status().Pumps[0].Receivers.Count == 1);
        var before = Lines("a").Count;
        Write(100);
        await Until(() => All().Count == _written);
        Assert.Equal(before, Lines("a").Count);
        Assert.Equal(Written(_written), All().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_broadcast_follows_the_file_too()
    {
        Receive("a", "b");
        File.WriteAllText(ListPath, Server("a").Address + "\n");
        Start(new ForwardOutputSettings([]) { File = new ServersFile(ListPath, Parse), Deliver = DeliverMode.Broadcast });
        Write(100);
        await Until(() => Lines("a").Count == 100);
        Replace(Server("a").Address + "\n" + Server("b").Address + "\n");
        await Until(() => _agent!.Process.Status().Pumps.Count == 2);
        Write(100);
        // What the log still holds comes too, and nothing of what was written since is missing.
        await Until(() => Lines("b").Count == 200 && Lines("a").Count == 200);
        Replace(Server("b").Address + "\n");
        await Until(() => _agent!.Process.Status().Pumps.Count == 1);
        Write(100);
        await Until(() => Lines("b").Count == 300);
        Replace(Server("a").Address + "\n" + Server("b").Address + "\n");
        await Until(() => Lines("a").Count == 300);
        Assert.Equal(Written(300), Lines("a"));
        Assert.Equal(Written(300), Lines("b"));
    }

    [Fact]
    public async Task A_broadcast_loses_nothing_of_what_is_written_before_it_knows_its_servers()
    {
        Receive("a");
        Start(new ForwardOutputSettings([]) { File = new ServersFile(ListPath, Parse), Deliver = DeliverMode.Broadcast });
        var line = new string('x', 1000);
        for (var i = 0; i < 1500; i++)
            _logs[0].Write("big.log", 1, line + "\n");
        _logs[0].Log.Retire();
        Replace(Server("a").Address + "\n");
        await Until(() => Lines("a").Count == 1500);
    }

    [Fact]
    public async Task Servers_are_named_by_service_records()
    {
        Receive("a", "b");
        using var names = new SrvServer();
        names.Records = [new SrvRecord("127.0.0.1", _ports["a"], 10, 5)];
        Start(new ForwardOutputSettings([]) { Srv = "_forward._tcp.example.test" }, names);
        Write(10);
        await Until(() => Lines("a").Count == 10);
        Assert.Equal("SRV _forward._tcp.example.test", _agent!.Process.Status().Pumps[0].Servers!.Source);
        Assert.Equal(5, _agent.Process.Status().Pumps[0].Receivers[0].Weight);
        // A second priority is for the case that the first is gone.
        names.Records = [new SrvRecord("127.0.0.1", _ports["a"], 10, 5), new SrvRecord("127.0.0.1", _ports["b"], 20, 0)];
        await Until(() => _agent.Process.Status().Pumps[0].Receivers.Count == 2);
        Assert.True(_agent.Process.Status().Pumps[0].Receivers[1].IsStandby);
    }

    public async ValueTask DisposeAsync()
    {
        if (_agent is not null)
            await _agent.DisposeAsync();
        foreach (var receiver in _receivers.Values)
            await receiver.DisposeAsync();
        foreach (var log in _logs)
            log.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    private static IReadOnlyList<TargetServer>? Parse(string text, out string problem)
    {
        problem = text.Contains('?', StringComparison.Ordinal) ? "that is not a server" : "";
        return problem.Length > 0 ? null : [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static s => new TargetServer(s))];
    }

    private void Replace(string text)
    {
        File.WriteAllText(ListPath + ".new", text);
        File.Move(ListPath + ".new", ListPath, overwrite: true);
    }

    private TargetServer Server(string name) => $"127.0.0.1:{Port(name)}";

    private TargetServer Standby(string name) => Server(name) with { IsStandby = true };

    private int Port(string name) => _ports.TryGetValue(name, out var port) ? port : _ports[name] = FreePort.Next();

    private void Start(ForwardOutputSettings forward, SrvServer? names = null, Disk? disk = null)
    {
        if (_logs.Count == 0)
            _logs.Add(new WrittenLog(_bell, Path.Combine(_root, "agent", "logs", "web"), new LogOptions
            {
                SegmentBytes = 256 << 10,
                QuotaBytes = 16 << 20,
                CursorDirectory = Path.Combine(_root, "agent", "cursors", "web"),
                Cursors = TransferProcess.Cursors([new RouteSettings("route") { Forward = forward }], "web"),
                Disk = disk ?? Disk.OfThisMachine,
            }));
        _agent = new RunningTransfer(new TransferSettings
        {
            Host = "agent",
            StateDirectory = Path.Combine(_root, "agent"),
            Mounts = [new MountLog("web", _bell, CommitLevel.Process)],
            Routes = [new RouteSettings("route") { Forward = forward }],
            Report = _reports.Enqueue,
            Disk = disk ?? Disk.OfThisMachine,
            Srv = names is null ? ServiceRecords.LookUpAsync : new ServiceRecords([names.Address], TimeProvider.System).AskAsync,
        });
    }

    private void Receive(params string[] names)
    {
        foreach (var name in names)
            _receivers[name] = new RunningTransfer(new TransferSettings
            {
                Host = name,
                StateDirectory = Path.Combine(_root, name),
                Receive = new ReceiveSettings($"127.0.0.1:{Port(name)}"),
                Routes = [new RouteSettings("all") { File = new FileOutputSettings(Path.Combine(_root, "out", name)) }],
                Report = _reports.Enqueue,
            });
    }

    private async Task StopAsync(string name)
    {
        await _receivers[name].DisposeAsync();
        _receivers.Remove(name);
    }

    private int Healthy() => _agent!.Process.Status().Pumps.Sum(static p => p.Receivers.Count(static r => r.Healthy));

    private void Write(int lines)
    {
        for (var i = 0; i < lines; i++)
            _logs[0].Write("numbers.log", 1, string.Create(CultureInfo.InvariantCulture, $"{_written++:D8}\n"));
    }

    private static List<string> Written(int lines) => [.. Enumerable.Range(0, lines).Select(static i => i.ToString("D8", CultureInfo.InvariantCulture))];

    private List<string> Lines(string name)
    {
        var path = Path.Combine(_root, "out", name);
        return File.Exists(path) ? [.. Encoding.UTF8.GetString(File.ReadAllBytes(path)).Split('\n', StringSplitOptions.RemoveEmptyEntries)] : [];
    }

    private List<string> All() => [.. _ports.Keys.SelectMany(Lines)];

    private async Task UntilLinesGoTo(string name)
    {
        var before = Lines(name).Count;
        await Until(() =>
        {
            Write(1);
            return Lines(name).Count > before + 20;
        });
    }

    private async Task Until(Func<bool> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience,
                $"waited in vain; {string.Join(", ", _ports.Keys.Select(n => $"{n}: {Lines(n).Count}"))} of {_written}; reports: {string.Join(" | ", _reports)}");
            await Task.Delay(5);
        }
    }
}
