using System.Text;
using Hikyaku.Config;
using Hikyaku.Log;
using Hikyaku.Supervision;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Servers;
using Xunit;
using ReceiveSettings = Hikyaku.Transfer.ReceiveSettings;
using RouteSettings = Hikyaku.Transfer.RouteSettings;

namespace Hikyaku.Tests.Transfer;

/// <summary>From what is written under <c>forward</c> to lines in the files of two receivers.</summary>
public sealed class DeliveryFromTextTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-delivery-").FullName;
    private readonly int _bell = WrittenLog.MakeBell();
    private readonly List<RunningTransfer> _running = [];

    [Theory]
    [InlineData("servers: ['127.0.0.[1-1]:A', { host: '127.0.0.1:B', weight: 3 }]", 1)]
    [InlineData("servers: ['127.0.0.1:A', { host: '127.0.0.1:B', standby: true }]", 1)]
    [InlineData("servers: ['127.0.0.1:A', '127.0.0.1:B'], copies: 2", 2)]
    [InlineData("servers: ['127.0.0.1:A', '127.0.0.1:B'], deliver: broadcast", 2)]
    [InlineData("servers: ['127.0.0.1:A', '127.0.0.1:B'], deliver: hash, hash: file", 1)]
    [InlineData("servers: ['127.0.0.1:A', '127.0.0.1:B'], deliver: failover, failover_after: 30s", 1)]
    [InlineData("servers_file: list, deliver: broadcast", 2)]
    [InlineData("servers_srv: _forward._tcp.example.test, copies: 2", 2)]
    public async Task What_is_written_says_where_lines_arrive(string forward, int copies)
    {
        var (a, b) = (FreePort.Next(), FreePort.Next());
        Receive("a", a);
        Receive("b", b);
        using var names = new SrvServer { Records = [new SrvRecord("127.0.0.1", a, 1, 1), new SrvRecord("127.0.0.1", b, 1, 1)] };
        File.WriteAllText(Path.Join(_root, "list"), $"127.0.0.1:{a} weight=2 # one\n127.0.0.1:{b}\n");
        File.WriteAllText(Path.Join(_root, "agent.yaml"), $$"""
            state: agent
            host: agent
            mounts: { web: { at: /srv/web } }
            routes: [{ to: { forward: { {{forward.Replace(":A", $":{a}", StringComparison.Ordinal).Replace(":B", $":{b}", StringComparison.Ordinal)}} } } }]
            """);
        var settings = ConfigurationFile.Load(Path.Join(_root, "agent.yaml"));
        using var log = new WrittenLog(_bell, Path.Join(_root, "agent", "logs", "web"), new LogOptions { QuotaBytes = 4 << 20 });
        _running.Add(new RunningTransfer(TransferChild.Translate(settings, new Dictionary<string, MountEnds>(StringComparer.Ordinal) { ["web"] = new(_bell) }) with
        {
            Srv = new ServiceRecords([names.Address], TimeProvider.System).AskAsync,
        }));
        var written = Enumerable.Range(0, 200).Select(static i => $"line {i:D3}").ToArray();
        foreach (var line in written)
            log.Write("a.log", 1, line + "\n");

        var start = TimeProvider.System.GetTimestamp();
        while (Lines().Count < 200 * copies && TimeProvider.System.GetElapsedTime(start) < Patience)
            await Task.Delay(5);
        Assert.Equal(Enumerable.Repeat(written, copies).SelectMany(static l => l).Order(StringComparer.Ordinal), Lines().Order(StringComparer.Ordinal));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var transfer in _running)
            await transfer.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    private void Receive(string name, int port) => _running.Add(new RunningTransfer(new TransferSettings
    {
        Host = name,
        StateDirectory = Path.Join(_root, name),
        Receive = new ReceiveSettings($"127.0.0.1:{port}"),
        Routes = [new RouteSettings("all") { File = new FileOutputSettings(Path.Join(_root, "out", name)) }],
    }));

    private List<string> Lines() => [.. new[] { "a", "b" }.Select(n => Path.Join(_root, "out", n)).Where(File.Exists)
        .SelectMany(static f => Encoding.UTF8.GetString(File.ReadAllBytes(f)).Split('\n', StringSplitOptions.RemoveEmptyEntries))];
}
