using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Supervision;
using Hikyaku.Tests.Config;
using Hikyaku.Tests.Forward;
using Hikyaku.Tests.Transfer;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Xunit;

namespace Hikyaku.Tests.Rules;

/// <summary>From the text of a configuration to the bytes in the file at the end.</summary>
public sealed class RuleStreetTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-rules-").FullName;
    private readonly ConcurrentQueue<string> _reports = new();
    private readonly int _bell = WrittenLog.MakeBell();

    private string OutputPath => Path.Combine(_root, "out", "all.log");

    [Fact]
    public async Task Rules_decide_what_of_a_file_arrives_and_as_what()
    {
        using var log = Mount();
        await using var agent = Run($$"""
            state: agent
            mounts: { m: { at: /nowhere } }
            routes:
              - name: r
                match: ["*.log", 'star\*']
                except: ["debug*", "/old/**"]
                allow:
                  - posix: "^(.*)ERR(.*)$"
                    line: "E:$1$2"
                  - "(?i)warn|info"
                  - { text: "[x]" }
                deny: ["token", { posix: "[0-9]{5}" }]
                rewrite:
                  - { regex: "\\d+\\.\\d+\\.\\d+\\.\\d+", with: "IP" }
                  - { text: "  ", with: "" }
                longest: 30B
                to: { file: { path: "{{OutputPath}}", format: "%F %L" } }
            """);
        log.Write("a.log", 1, "an ERR from 10.0.0.1\nnothing\nWARNING\ninfo token\n12345 ERR\nsome  [x]\ninfo of more than thirty bytes..\n");
        log.Write("debug.log", 2, "info\n");
        log.Write("old/a.log", 3, "info\n");
        log.Write("start", 4, "info\n");
        log.Write("star*", 5, "info\n");
        log.Write("a.log", 1, "inf");
        log.Write("a.log", 1, "o half\nlast info");
        log.Close("a.log", 1);
        await Expect("a.log E:anfrom IP\na.log WARNING\na.log some[x]\nstar* info\na.log info half\na.log last info\n");
        var pump = agent.Process.Status().Pumps.Single();
        var source = pump.Sources.Single(static s => s.Path == "a.log");
        Assert.Equal((3, 1, 9), (source.Denied, source.TooLong, source.Lines));
        Assert.Equal(["debug.log", "old/a.log", "start"], pump.Sources.Where(static s => !s.Matched).Select(static s => s.Path).Order(StringComparer.Ordinal));
        Assert.Contains("longer than the route's 'longest'", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_hold_for_what_other_hosts_sent_also_for_blocks_of_lines()
    {
        var port = FreePort();
        using var log = Mount();
        await using var collector = Run($$"""
            state: collector
            receive: { forward: { listen: "127.0.0.1:{{port}}" } }
            routes: [{ deny: "^drop", rewrite: [{ text: "secret", with: "***" }], to: { file: { path: "{{OutputPath}}" } } }]
            """);
        await using var agent = Run(Agent(port, ""));
        var (text, expected) = (new StringBuilder(), new StringBuilder());
        for (var i = 0; i < 20; i++)
        {
            // The first is sent line by line: what the collector takes is not known yet.
            text.Clear();
            for (var line = 0; line < 100; line++)
            {
                text.Append(line % 7 == 0 ? $"drop {line}\n" : line % 5 == 0 ? $"my secret {i}\n" : $"line {line}\n");
                expected.Append(line % 7 == 0 ? "" : line % 5 == 0 ? $"my *** {i}\n" : $"line {line}\n");
            }

            log.Write("a.log", 1, text.ToString());
            if (i == 0)
                await Expect(expected.ToString());
        }

        await Expect(expected.ToString());
        Assert.Equal(20 * 15, collector.Process.Status().Pumps.Single().Sources.Single().Denied);
    }

    [Theory]
    [InlineData("", "one\ntwo\0half|\r\n\n")]
    [InlineData(", format: \"<%L>\"", "<one\ntwo\0half><|><\r\n\n>")]
    public async Task A_message_arrives_byte_for_byte_over_a_relay(string format, string expected)
    {
        var (first, second) = (FreePort(), FreePort());
        using var log = Mount();
        await using var collector = Run($$"""
            state: collector
            receive: { forward: { listen: "127.0.0.1:{{second}}" } }
            routes: [{ to: { file: { path: "{{OutputPath}}"{{format}} } } }]
            """);
        await using var relay = Run($$"""
            state: relay
            receive: { forward: { listen: "127.0.0.1:{{first}}" } }
            routes: [{ to: { forward: { servers: "127.0.0.1:{{second}}" } } }]
            """);
        await using var agent = Run(Agent(first, "mode: message"));
        log.Write("a.log", 1, "one\ntwo\0half");
        await Until(() => Output().Length > 10);
        log.Write("a.log", 1, "|");
        log.Write("a.log", 1, "\r\n\n");
        log.Close("a.log", 1);
        await Expect(expected);
        // Lines of another route stay lines beside them.
        Assert.Equal(3, collector.Process.Status().Receive!.Lines);
    }

    [Fact]
    public async Task Rules_look_at_a_message_as_they_look_at_a_line()
    {
        using var log = Mount();
        await using var agent = Run($$"""
            state: agent
            mounts: { m: { at: /nowhere } }
            routes: [{ mode: message, deny: "^no$", rewrite: [{ regex: "\n", with: "," }], longest: 10B, to: { file: { path: "{{OutputPath}}" } } }]
            """);
        foreach (var message in new[] { "a\nb\n", "no", "too long to be carried", "c" })
            log.Write("a", 1, message);
        await Expect("a,b,c");
    }

    [Fact]
    public async Task Lines_that_are_too_old_are_counted_and_passed_over()
    {
        using var log = Mount();
        await using var agent = Run($$"""
            state: agent
            mounts: { m: { at: /nowhere } }
            routes:
              - { name: young, expire: 1h, to: { file: { path: "{{OutputPath}}.young" } } }
              - { name: all, to: { file: { path: "{{OutputPath}}" } } }
            """);
        log.Write("a", 1, "1\n2\n3\n");
        await Expect("1\n2\n3\n");
        await Until(() => agent.Process.Status().Pumps.All(p => p.Cursor == log.Log.NextSequence));
        Assert.False(File.Exists(OutputPath + ".young"));
        Assert.Equal(3, agent.Process.Status().Pumps.Single(static p => p.Route == "young").Sources.Single().Expired);
        Assert.Contains("older than the route's 'expire'", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repeated_chunk_holds_the_lines_that_were_young_enough_the_first_time()
    {
        using var log = Mount();
        for (var i = 1; i <= 4; i++)
            log.Write("a", 1, $"{i}\n");
        Directory.CreateDirectory(Path.GetDirectoryName(OutputPath)!);
        File.WriteAllText(OutputPath, "3\n");
        Assert.True(Disk.OfThisMachine.TryStat(OutputPath, out var inode, out _));
        var note = new ByteBuffer();
        foreach (var text in new[] { OutputPath, "%L", "%F %T" })
            MessagePackWriter.WriteText(note, Encoding.UTF8.GetBytes(text));
        MessagePackWriter.WriteBinary(note, Encoding.UTF8.GetBytes(OutputPath));
        MessagePackWriter.WriteUnsigned(note, inode);
        MessagePackWriter.WriteUnsigned(note, 0);
        var cursors = Path.Combine(_root, "agent", "cursors", "m");
        Directory.CreateDirectory(cursors);
        using (var journal = Hikyaku.Transfer.Delivery.Journal.Load(cursors + "/r-file.journal", cursors + "/r-file.cursor", log.Log.Identity, ulong.MaxValue, Disk.OfThisMachine, sync: false, _reports.Enqueue))
        {
            var chunk = new NotedChunk { Number = 1, From = LogPosition.Start, To = new LogPosition(log.Log.NextSequence, 0), Oldest = WrittenLog.FirstTime + 2 };
            chunk.Add(new LineBlock(new LineSource([], [], 0, 0), 1, "3\n4"u8, 2));
            journal.Append(chunk, note.Written);
        }

        // By the clock of this process all of them are too old.
        await using var agent = Run($$"""
            state: agent
            mounts: { m: { at: /nowhere } }
            routes: [{ name: r, expire: 1h, to: { file: { path: "{{OutputPath}}" } } }]
            """);
        await Expect("3\n4\n");
        await Until(() => agent.Process.Status().Pumps.Single().Cursor == log.Log.NextSequence);
        Assert.Equal("3\n4\n", File.ReadAllText(OutputPath));
    }

    [Fact]
    public async Task A_batch_waits_for_its_lines_or_for_its_time()
    {
        using var log = Mount();
        var time = new SteppedTime();
        await using var agent = Run($$"""
            state: agent
            mounts: { m: { at: /nowhere } }
            routes: [{ batch: { lines: 3, time: 1h }, to: { file: { path: "{{OutputPath}}" } } }]
            """, time);
        log.Write("a", 1, "1\n2\n");
        await Until(() => LinesRead(agent) == 2, time);
        Assert.Empty(Output());
        log.Write("a", 1, "3\n4\n");
        await Until(() => Output().Length == 8, time);
        log.Write("a", 1, "5\n");
        await Until(() => LinesRead(agent) == 5, time);
        Assert.Equal(8, Output().Length);
        time.Advance(TimeSpan.FromHours(1));
        await Until(() => Output().Length == 10, time);
        // Its cursor moves too, while the next one waits.
        log.Write("a", 1, "6\n");
        var last = log.Log.NextSequence - 1;
        await Until(() => agent.Process.Status().Pumps.Single().Cursor == last, time);
        Assert.Equal("1\n2\n3\n4\n5\n", File.ReadAllText(OutputPath));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static long LinesRead(Running agent) => agent.Process.Status().Pumps.Sum(static p => p.Sources.Sum(static s => s.Lines));

    private static string Agent(int port, string keys) => $$"""
        state: agent
        mounts: { m: { at: /nowhere } }
        routes:
          - name: r
            {{keys}}
            to: { forward: { servers: "127.0.0.1:{{port}}" } }
        """;

    private WrittenLog Mount() => new(_bell, Path.Combine(_root, "agent", "logs", "m"), new LogOptions
    {
        SegmentBytes = 256 << 10, CursorDirectory = Path.Combine(_root, "agent", "cursors", "m"), Cursors = ["all-file", "r-file", "r-forward"],
    });

    private Running Run(string text, TimeProvider? time = null)
    {
        var settings = ConfigurationText.Load(text.Replace("state: ", "state: " + _root + "/", StringComparison.Ordinal));
        var translated = TransferChild.Translate(settings, settings.Mounts.ToDictionary(static m => m.Name, _ => new MountEnds(_bell), StringComparer.Ordinal));
        return new Running(translated with { Report = _reports.Enqueue, Time = time ?? TimeProvider.System });
    }

    private byte[] Output() => File.Exists(OutputPath) ? File.ReadAllBytes(OutputPath) : [];

    private async Task Expect(string text)
    {
        await Until(() => Output().Length >= Encoding.UTF8.GetByteCount(text));
        Assert.Equal(text, Encoding.UTF8.GetString(Output()));
    }

    private async Task Until(Func<bool> condition, SteppedTime? time = null)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience,
                $"waited in vain; arrived: {Encoding.UTF8.GetString(Output())}; reports: {string.Join(" | ", _reports)}");
            await Task.Delay(2);
            time?.Advance(TimeSpan.FromMilliseconds(1));
        }
    }

    private static int FreePort()
    {
        for (var port = Random.Shared.Next(12_000, 30_000); ; port++)
        {
            try
            {
                using var listener = new TcpListener(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken; the next one.
            }
        }
    }

    private sealed class NotedChunk : Chunk
    {
        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in LineBlock lines)
        {
        }
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
            _stop.Dispose();
        }
    }
}
