using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Xunit;

namespace Hikyaku.Tests.Transfer;

/// <summary>The whole transfer on loopback: a written log, a sending process, a receiving process, a file.</summary>
public sealed class StreetTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-street-").FullName;
    private readonly ConcurrentQueue<string> _reports = new();
    private readonly int _port = FreePort.Next();
    private readonly int _bell = WrittenLog.MakeBell();
    private readonly int _otherBell = WrittenLog.MakeBell();

    private string OutputPath => Path.Combine(_root, "out", "all.log");

    [Fact]
    public async Task Lines_written_to_a_mount_stand_in_the_collectors_file()
    {
        using var log = Mount();
        await using var collector = Collector("%H:%F(%P):%f %L");
        await using var agent = Agent();

        log.Write("access.log", 1, "TEST STRING\n", pid: 42);
        await Expect("agent:access.log(42):access.log TEST STRING\n");
        log.Write("sub/error.log", 2, "half ");
        log.Write("access.log", 1, "a\nb\n\nc", pid: 42);
        log.Write("sub/error.log", 2, "line\n");
        log.Close("access.log", 1);
        await Expect("""
            agent:access.log(42):access.log TEST STRING
            agent:access.log(42):access.log a
            agent:access.log(42):access.log b
            agent:access.log(42):access.log 
            agent:sub/error.log(7):error.log half line
            agent:access.log(42):access.log c

            """);
    }

    [Fact]
    public async Task Bytes_of_any_kind_arrive_unchanged()
    {
        using var log = Mount();
        await using var collector = Collector("%L");
        await using var agent = Agent();
        var line = new byte[(1 << 20) + 1];
        new Random(1).NextBytes(line);
        line.AsSpan().Replace((byte)'\n', (byte)0);
        line[^1] = (byte)'\n';
        log.Write("a", 1, line.AsSpan(0, 100_000).ToArray());
        log.Write("a", 1, line.AsSpan(100_000).ToArray());
        await Until(() => Output().Length == line.Length);
        Assert.Equal(line, Output());
    }

    [Fact]
    public async Task Restarts_of_either_side_lose_and_repeat_nothing()
    {
        using var log = Mount();
        const int lines = 20_000;
        var writing = Task.Run(() =>
        {
            for (var i = 0; i < lines; i++)
            {
                // Every third line comes in two halves, so that restarts meet unfinished ones.
                var text = string.Create(CultureInfo.InvariantCulture, $"{i:D8} of the street\n");
                if (i % 3 == 0)
                {
                    log.Write("numbers", 1, text[..5]);
                    log.Write("numbers", 1, text[5..]);
                }
                else
                {
                    log.Write("numbers", 1, text);
                }

                if (i % 100 == 0)
                    Thread.Yield();
            }
        });
        var collector = Collector("%L");
        for (var round = 0; round < 8; round++)
        {
            await using (Agent())
            {
                var before = Output().Length;
                await Until(() => Output().Length > before || writing.IsCompleted);
            }

            if (round % 2 == 1)
            {
                await collector.DisposeAsync();
                collector = Collector("%L");
            }
        }

        await writing;
        await using var last = Agent();
        var expected = string.Concat(Enumerable.Range(0, lines).Select(static i => string.Create(CultureInfo.InvariantCulture, $"{i:D8} of the street\n")));
        await Expect(expected);
        await collector.DisposeAsync();
    }

    [Fact]
    public async Task Only_matching_paths_are_carried_and_the_cursor_passes_the_others()
    {
        using var log = Mount();
        await using var collector = Collector("%F %L");
        await using var agent = Agent("access.log");
        log.Write("other.txt", 1, "no\n");
        log.Write("dir/access.log", 2, "yes\n");
        await Expect("dir/access.log yes\n");
        log.Write("other.txt", 1, "no\n");
        var end = log.Log.NextSequence;
        await Until(() => agent.Process.Status().Pumps.Single().Cursor == end);
        var sources = agent.Process.Status().Pumps.Single().Sources;
        Assert.False(sources.Single(static s => s.Path == "other.txt").Matched);
        Assert.Equal(1, sources.Single(static s => s.Path == "dir/access.log").Lines);
    }

    [Fact]
    public async Task Segments_are_retired_once_every_line_has_arrived()
    {
        using var log = Mount(quota: 1 << 20);
        await using var collector = Collector("%L");
        await using var agent = Agent();
        var line = new string('x', 1000) + "\n";
        for (var i = 0; i < 5000; i++)
        {
            // A full log refuses; the writer's next try finds room once lines have left.
            while (log.Log.Bytes + (256 << 10) > 1 << 20)
            {
                log.Log.Retire();
                await Task.Delay(1);
            }

            log.Write("a", 1, line);
        }

        await Until(() => Output().Length == 5000 * line.Length);
    }

    [Fact]
    public async Task A_cursor_that_no_route_uses_is_named()
    {
        using var log = Mount();
        var cursor = Path.Combine(_root, "agent", "cursors", "web", "gone.cursor");
        Directory.CreateDirectory(Path.GetDirectoryName(cursor)!);
        Cursor.Write(cursor, 1);
        await using var agent = Agent();
        await Until(() => _reports.Any(r => r.StartsWith(cursor + ": no route uses this cursor", StringComparison.Ordinal)));
        Assert.Equal([cursor], agent.Process.Status().AbandonedCursors);
    }

    [Fact]
    public async Task Logs_with_the_same_route_name_do_not_take_each_other_for_repetitions()
    {
        using var web = Mount();
        using var other = new WrittenLog(_otherBell, Path.Combine(_root, "agent", "logs", "mail"), new LogOptions { SegmentBytes = 256 << 10 });
        await using var collector = Collector("%F %L");
        var sending = AgentSettings();
        await using var agent = new RunningTransfer(sending with { Mounts = [.. sending.Mounts, new MountLog("mail", _otherBell, CommitLevel.Process)] });
        var expected = new List<string>();
        for (var i = 0; i < 200; i++)
        {
            web.Write("w", 1, $"{i}\n");
            other.Write("m", 1, $"{i}\n");
            expected.Add($"w {i}");
            expected.Add($"m {i}");
            if (i % 10 == 0)
                await Until(() => Lines().Count == expected.Count);
        }

        await Until(() => Lines().Count >= expected.Count);
        Assert.Equal(expected.Order(StringComparer.Ordinal), Lines().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_record_of_very_many_lines_is_carried_in_several_chunks()
    {
        using var log = Mount();
        var collector = Collector("%L");
        var agent = Agent();
        var bytes = new byte[1 << 20];
        bytes.AsSpan().Fill((byte)'\n');
        log.Write("a", 1, "x");
        log.Write("a", 1, bytes);
        log.Write("a", 1, "y\n");
        await Until(() => Output().Length > 100_000);
        // In the middle of it both sides are started again.
        await agent.DisposeAsync();
        await collector.DisposeAsync();
        await using var collectorAgain = Collector("%L");
        await using var agentAgain = Agent();
        await Until(() => Output().Length >= bytes.Length + 3);
        Assert.Equal("x" + new string('\n', bytes.Length) + "y\n", Encoding.UTF8.GetString(Output()));
    }

    [Fact]
    public async Task A_chunk_in_flight_at_a_restart_is_repeated_though_it_holds_very_many_short_lines()
    {
        using var log = Mount();
        var path = new string('p', 100) + "/a.log";
        log.Write(path, 1, "first\n");
        await using (Collector("%L"))
        {
            await using (Agent())
                await Expect("first\n");
        }

        // A server that takes the compact form, and then acknowledges nothing any more.
        var bytes = new byte[1 << 20];
        bytes.AsSpan().Fill((byte)'\n');
        var taken = 0;
        var server = new ForwardServer(async (_, _, cancel) =>
        {
            if (Interlocked.Increment(ref taken) > 1)
                await Task.Delay(Timeout.Infinite, cancel);
            return true;
        }, _reports.Enqueue);
        await using (new Listening(server, _port, _reports.Enqueue))
        {
            await using (Agent())
            {
                log.Write(path, 1, "second\n");
                await Until(() => Volatile.Read(ref taken) == 1);
                log.Write(path, 1, bytes);
                await Until(() => Volatile.Read(ref taken) == 2);
            }
        }

        await using var collector = Collector("%L");
        await using var agent = Agent();
        await Until(() => Output().Length >= bytes.Length + 6);
        await Until(() => agent.Process.Status().Pumps.Single().Cursor == log.Log.NextSequence);
        Assert.Equal("first\n" + new string('\n', bytes.Length), Encoding.UTF8.GetString(Output()));
    }

    [Fact]
    public async Task Where_and_when_a_line_was_written_is_kept_over_several_stages()
    {
        using var log = Mount();
        var port = FreePort.Next();
        var arrived = new ConcurrentQueue<string>();
        var server = new ForwardServer((message, _, _) =>
        {
            var entries = new EntryReader(message.Entries.Span, message.Common.Span, new EntryScratch());
            while (entries.TryRead(out var entry))
                arrived.Enqueue(string.Create(CultureInfo.InvariantCulture,
                    $"{Encoding.UTF8.GetString(entry.Fields.Host)} {Encoding.UTF8.GetString(entry.Fields.Path)} {entry.Fields.Pid} {entry.Fields.Uid} {entry.Time} {Encoding.UTF8.GetString(entry.Message)}"));
            return ValueTask.FromResult(true);
        }, _reports.Enqueue);
        await using var collector = new Listening(server, port, _reports.Enqueue);
        await using var relay = new RunningTransfer(new TransferSettings
        {
            Host = "relay",
            StateDirectory = Path.Combine(_root, "relay"),
            Receive = new ReceiveSettings($"127.0.0.1:{_port}"),
            Routes = [new RouteSettings("on") { Forward = new ForwardOutputSettings([$"127.0.0.1:{port}"]) }],
            Report = _reports.Enqueue,
        });
        await using var agent = Agent();
        // The first goes in full form, the second may go in compact form.
        for (var i = 1; i <= 2; i++)
        {
            var time = log.Write("sub/a.log", 1, $"line {i}\n", pid: 42);
            await Until(() => arrived.Count == i);
            Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"agent sub/a.log 42 1000 {time} line {i}"), arrived.Last());
        }
    }

    [Fact]
    public async Task A_chunk_that_cannot_be_packed_is_a_fault_of_its_pump_alone()
    {
        using var log = Mount();
        var bytes = new byte[1 << 20];
        bytes.AsSpan().Fill((byte)'\n');
        log.Write(new string('p', 100) + "/a.log", 1, bytes);
        // As no version writes it: all these lines in one chunk, in full form.
        var note = new ByteBuffer();
        MessagePackWriter.WriteText(note, Encoding.UTF8.GetBytes($"127.0.0.1:{_port}"));
        using (var journal = Journal(log))
            journal.Append(new NotedChunk { Number = 1, From = LogPosition.Start, To = new LogPosition(log.Log.NextSequence, 0) }, note.Written);
        await using var collector = Collector("%L");
        var agent = Agent();
        await Until(() => _reports.Any(static r => r.Contains("starting it again", StringComparison.Ordinal)));
        // Nothing was thrown out of the process.
        await agent.DisposeAsync();
    }

    [Fact]
    public async Task A_journaled_chunk_of_nothing_holds_nothing_up()
    {
        using var log = Mount();
        log.Write("a.log", 1, "one\n");
        using (var journal = Journal(log))
            journal.Append(new NotedChunk { Number = 1, From = LogPosition.Start, To = LogPosition.Start }, []);
        await using var collector = Collector("%L");
        await using var agent = Agent();
        await Expect("one\n");
        await Until(() => agent.Process.Status().Pumps.Single().Cursor == log.Log.NextSequence);
    }

    [Fact]
    public async Task A_name_that_can_be_no_file_stops_nobody()
    {
        using var log = Mount();
        await using var collector = Collector("%L", Path.Combine(_root, "out", "{path}"));
        await using var agent = Agent();
        log.Write("a", 1, "file\n");
        await Until(() => File.Exists(Path.Combine(_root, "out/a")));
        log.Write("a/b", 2, "below a file\n");
        log.Write("c", 3, "next\n");
        await Until(() => File.Exists(Path.Combine(_root, "out/c")) && File.ReadAllText(Path.Combine(_root, "out/c")) == "next\n");
        Assert.Equal("below a file\n", File.ReadAllText(Path.Combine(_root, "out/misplaced.log")));
        Assert.Contains(_reports, static r => r.Contains("misplaced.log", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_truncated_by_others_gets_its_lines_once()
    {
        using var log = Mount();
        var collector = Collector("%L");
        await using var agent = Agent();
        log.Write("a", 1, "one\n");
        await Expect("one\n");
        File.WriteAllText(OutputPath, "");
        log.Write("a", 1, "two\n");
        await Expect("two\n");
        await collector.DisposeAsync();
        collector = Collector("%L");
        log.Write("a", 1, "three\n");
        await Expect("two\nthree\n");
        await collector.DisposeAsync();
    }

    [Fact]
    public async Task One_file_per_source_stays_below_its_directory()
    {
        using var log = Mount();
        await using var collector = Collector("%L", Path.Combine(_root, "out", "{host}", "{path}"));
        await using var agent = Agent();
        log.Write("a.log", 1, "one\n");
        log.Write("../../../escape", 2, "two\n");
        await Until(() => File.Exists(Path.Combine(_root, "out/agent/a.log")) && File.Exists(Path.Combine(_root, "out/agent/__/__/__/escape")));
        await Until(() => File.ReadAllText(Path.Combine(_root, "out/agent/__/__/__/escape")) == "two\n");
        Assert.Equal("one\n", File.ReadAllText(Path.Combine(_root, "out/agent/a.log")));
    }

    public async ValueTask DisposeAsync()
    {
        await Task.CompletedTask;
        Directory.Delete(_root, recursive: true);
    }

    private WrittenLog Mount(long quota = 0) => new(_bell, Path.Combine(_root, "agent", "logs", "web"), new LogOptions
    {
        SegmentBytes = 256 << 10,
        QuotaBytes = quota,
        CursorDirectory = Path.Combine(_root, "agent", "cursors", "web"),
        Cursors = ["route-forward"],
    });

    [Theory]
    [InlineData(Compression.Gzip)]
    [InlineData(Compression.Zstd)]
    public async Task Compressed_chunks_bring_the_same_lines(Compression compress)
    {
        using var log = Mount();
        await using var collector = Collector("%L");
        var settings = AgentSettings();
        await using var agent = new RunningTransfer(settings with { Routes = [settings.Routes[0] with { Forward = settings.Routes[0].Forward! with { Compress = compress } }] });
        var text = new StringBuilder();
        for (var write = 0; write < 200; write++)
        {
            var lines = string.Concat(Enumerable.Range(0, 100).Select(i => $"{write}: the same line again and again, {i}\n"));
            log.Write("access.log", 1, lines);
            text.Append(lines);
            // The first acknowledgement shows what the collector takes.
            if (write == 0)
                await Expect(text.ToString());
        }

        await Expect(text.ToString());
        Assert.Empty(_reports);
        var receive = collector.Process.Status().Receive!;
        Assert.Equal(20_000, receive.Lines);
    }

    private RunningTransfer Agent(params string[] match) => new(AgentSettings(match));

    private List<string> Lines() => [.. Encoding.UTF8.GetString(Output()).Split('\n', StringSplitOptions.RemoveEmptyEntries)];

    private TransferSettings AgentSettings(params string[] match) => new()
    {
        Host = "agent",
        StateDirectory = Path.Combine(_root, "agent"),
        Mounts = [new MountLog("web", _bell, CommitLevel.Process)],
        Routes = [new RouteSettings("route") { Match = match, Forward = new ForwardOutputSettings([$"127.0.0.1:{_port}"]) }],
        Report = _reports.Enqueue,
    };

    private RunningTransfer Collector(string format, string? path = null) => new(new TransferSettings
    {
        Host = "collector",
        StateDirectory = Path.Combine(_root, "collector"),
        Receive = new ReceiveSettings($"127.0.0.1:{_port}"),
        Routes = [new RouteSettings("all") { File = new FileOutputSettings(path ?? OutputPath) { Format = format } }],
        Report = _reports.Enqueue,
    });

    private byte[] Output() => File.Exists(OutputPath) ? File.ReadAllBytes(OutputPath) : [];

    private async Task Expect(string text)
    {
        await Until(() => Output().Length >= Encoding.UTF8.GetByteCount(text));
        Assert.Equal(text, Encoding.UTF8.GetString(Output()));
    }

    private async Task Until(Func<bool> condition)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(deadline) < Patience,
                $"waited {Patience.TotalSeconds} s in vain; {Output().Length} bytes arrived; reports: {string.Join(" | ", _reports)}");
            await Task.Delay(2);
        }
    }

    private Journal Journal(WrittenLog log)
    {
        var path = Path.Combine(_root, "agent", "cursors", "web", "route-forward");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return Hikyaku.Transfer.Delivery.Journal.Load(path + ".journal", path + ".cursor", log.Log.Identity, ulong.MaxValue, Disk.OfThisMachine, sync: false, _reports.Enqueue);
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

    private sealed class Listening : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _run;

        public Listening(ForwardServer server, int port, Action<string> report)
        {
            Assert.True(ForwardAddress.TryParse($"127.0.0.1:{port}", out var address, out _));
            _run = Network.Tcp.Listen(address, report).RunAsync(server, _stop.Token);
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            try
            {
                await _run;
            }
            catch (OperationCanceledException)
            {
                // As it was told.
            }

            _stop.Dispose();
        }
    }
}
