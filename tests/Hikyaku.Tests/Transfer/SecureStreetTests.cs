using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Hikyaku.Log;
using Hikyaku.Supervision;
using Hikyaku.Tests.Config;
using Hikyaku.Tests.Forward;
using Hikyaku.Transfer;
using Xunit;

namespace Hikyaku.Tests.Transfer;

/// <summary>From the text of two configurations, through TLS and the handshake on loopback, to the bytes of a file.</summary>
public sealed class SecureStreetTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-secure-").FullName;
    private readonly ConcurrentQueue<string> _reports = new();
    private readonly TestAuthority _authority = new();
    private readonly int _bell = WrittenLog.MakeBell();
    private readonly int _port = FreePort();

    private string OutputPath => Path.Combine(_root, "all.log");

    [Theory]
    [InlineData("shared_key: k", "shared_key: k")]
    [InlineData("shared_key: k, users: [{ name: alice, password: p }]", "shared_key: k, user: alice, password: p")]
    [InlineData("tls: { cert: {c}, key: {k} }", "tls: { ca: {ca} }")]
    [InlineData("tls: { cert: {c}, key: {k}, ca: {ca} }", "tls: { ca: {ca}, cert: {c}, key: {k} }")]
    [InlineData("tls: { cert: {c}, key: {k}, min: '1.3' }, shared_key: k", "tls: { verify: off }, shared_key: k")]
    [InlineData("allow: 127.0.0.0/8", "compress: none")]
    [InlineData("allow: localhost", "compress: none")]
    public async Task Lines_arrive_when_both_ends_agree(string asked, string shown)
    {
        using var log = Mount();
        await using var collector = Collector(asked);
        await using var agent = Agent(shown);
        log.Write("a", 1, "one\ntwo\n");
        await Expect("one\ntwo\n");
        log.Write("a", 1, new string('x', 1 << 20) + "\n");
        await Expect("one\ntwo\n" + new string('x', 1 << 20) + "\n");
        var admission = collector.Process.Status().Receive!.Admission!;
        Assert.Equal((1, 0, 0), (admission.Inside, admission.Refused, admission.NotAllowed));
    }

    [Theory]
    [InlineData("shared_key: k", "shared_key: other", "the receiver refuses the shared key", "127.0.0.1: has another shared key (it calls itself agent); connection closed")]
    [InlineData("shared_key: k", "compress: none", "the receiver asks for a shared key (HELO), and none is configured here", "127.0.0.1: sends no PING, though a shared key is asked for")]
    [InlineData("tls: { cert: {c}, key: {k} }", "tls: { ca: {other} }", "the receiver shows a certificate (of localhost) that is not signed by", "localhost:")]
    [InlineData("tls: { cert: {c}, key: {k}, ca: {ca} }", "tls: { ca: {ca} }", "closed by the receiver", "127.0.0.1: the peer shows no certificate; connection closed")]
    [InlineData("tls: { cert: {c}, key: {k} }", "compress: none", "closed by the receiver", "127.0.0.1: does not speak TLS, which is asked for here; connection closed")]
    [InlineData("allow: 10.0.0.0/8", "compress: none", "closed by the receiver", "127.0.0.1: may not connect (receive.forward.allow); connection closed")]
    public async Task Lines_wait_when_they_do_not_and_arrive_when_that_is_mended(string asked, string shown, string problem, string reported)
    {
        using var log = Mount();
        await using var collector = Collector(asked);
        log.Write("a", 1, "one\n");
        await using (var agent = Agent(shown))
        {
            await Until(() => agent.Process.Status().Pumps.Any(p => p.Receivers.Any(r => !r.Healthy && r.Problem.Contains(problem, StringComparison.Ordinal))));
            await Until(() => _reports.Any(r => r.StartsWith(reported, StringComparison.Ordinal)));
            // Tried several times, said once.
            if (reported.StartsWith("127", StringComparison.Ordinal))
                await Until(() => collector.Process.Status().Receive!.Admission is { } door && door.Refused + door.NotAllowed > 2);
            Assert.Single(_reports, r => r.StartsWith(reported, StringComparison.Ordinal));
            Assert.Equal((0, 0), (collector.Process.Status().Receive!.Chunks, collector.Process.Status().Receive!.Admission!.Inside));
        }

        Assert.False(File.Exists(OutputPath));
        await collector.DisposeAsync();
        await using var mended = Collector(asked.Replace("10.0.0.0/8", "127.0.0.1", StringComparison.Ordinal));
        await using var right = Agent(asked.StartsWith("shared_key", StringComparison.Ordinal) ? "shared_key: k"
            : asked.StartsWith("tls", StringComparison.Ordinal) ? "tls: { ca: {ca}, cert: {c}, key: {k} }" : "compress: none");
        await Expect("one\n");
    }

    [Fact]
    public async Task Certificates_replaced_under_load_cost_no_line()
    {
        using var log = Mount();
        using var other = new TestAuthority("The next authority");
        var (certificate, key) = _authority.Issue("own");
        File.AppendAllText(_authority.Own, File.ReadAllText(other.Own));
        await using var collector = Collector("tls: { cert: {c}, key: {k}, ca: {ca} }, shared_key: k");
        var written = 0;
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                log.Write("a", 1, string.Create(CultureInfo.InvariantCulture, $"line {written++}\n"));
                if (written % 500 == 0)
                    await Task.Delay(1);
            }
        });
        for (var round = 0; round < 3; round++)
        {
            var authority = round % 2 == 0 ? other : _authority;
            var next = authority.Issue($"next{round}");
            File.Copy(next.Certificate, certificate, overwrite: true);
            File.Copy(next.Key, key, overwrite: true);
            // Each agent connects anew, until one is met with the new certificate.
            while (_reports.Count(r => r == $"{certificate}: changed; new connections use it from now on") <= round)
            {
                await using var agent = Agent("tls: { ca: {ca}, cert: {c}, key: {k} }, shared_key: k");
                var before = Length();
                await Until(() => Length() > before);
            }
        }

        await stop.CancelAsync();
        await writing;
        await using var last = Agent("tls: { ca: {ca}, cert: {c}, key: {k} }, shared_key: k");
        await Expect(string.Concat(Enumerable.Range(0, written).Select(i => string.Create(CultureInfo.InvariantCulture, $"line {i}\n"))));
    }

    private Running Collector(string asked) => Run($$"""
        state: {{_root}}/collector
        host: collector
        receive:
          forward: { listen: "127.0.0.1:{{_port}}", {{asked}} }
        routes:
          - { name: all, to: { file: { path: {{OutputPath}} } } }
        """);

    private Running Agent(string shown) => Run($$"""
        state: {{_root}}/agent
        host: agent
        mounts: { web: { at: /web } }
        routes:
          - { name: route, to: { forward: { servers: "localhost:{{_port}}", {{shown}} } } }
        """);

    private Running Run(string text)
    {
        var own = Path.Join(_authority.Folder, "own.pem");
        if (!File.Exists(own))
            _authority.Issue("own");
        using var other = new TestAuthority();
        text = text.Replace("{c}", own, StringComparison.Ordinal).Replace("{k}", Path.ChangeExtension(own, "key"), StringComparison.Ordinal)
            .Replace("{ca}", _authority.Own, StringComparison.Ordinal);
        if (text.Contains("{other}", StringComparison.Ordinal))
        {
            var copy = Path.Join(_root, "other.pem");
            File.Copy(other.Own, copy);
            text = text.Replace("{other}", copy, StringComparison.Ordinal);
        }
        var settings = TransferChild.Translate(ConfigurationText.Load(text), new Dictionary<string, MountEnds>(StringComparer.Ordinal) { ["web"] = new MountEnds(_bell) });
        return new Running(settings with { Report = _reports.Enqueue });
    }

    private WrittenLog Mount() => new(_bell, Path.Combine(_root, "agent", "logs", "web"), new LogOptions
    {
        SegmentBytes = 4 << 20,
        CursorDirectory = Path.Combine(_root, "agent", "cursors", "web"),
        Cursors = ["route-forward"],
    });

    private long Length() => File.Exists(OutputPath) ? new FileInfo(OutputPath).Length : 0;

    private async Task Expect(string text)
    {
        await Until(() => Length() >= Encoding.UTF8.GetByteCount(text));
        Assert.Equal(text, File.ReadAllText(OutputPath));
    }

    private async Task Until(Func<bool> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"waited {Patience.TotalSeconds} s in vain; {Length()} bytes arrived; reports: {string.Join(" | ", _reports)}");
            await Task.Delay(2);
        }
    }

    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        await Task.CompletedTask;
        _authority.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    private sealed class Running : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _run;

        public Running(TransferSettings settings)
        {
            Process = new TransferProcess(settings);
            _run = Process.RunAsync(_stop.Token);
        }

        public TransferProcess Process { get; }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _run;
        }
    }
}
