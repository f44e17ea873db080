using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Tests.Forward;
using Hikyaku.Tests.Log;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Intake;
using Xunit;

namespace Hikyaku.Tests.Transfer;

/// <summary>Messages of senders that number nothing and repeat what they have no ack for: fluentd, Fluent Bit, and others.</summary>
public sealed class ForeignMessageTests : IDisposable
{
    private const int SegmentBytes = 32 << 20;

    private readonly List<string> _reports = [];
    private readonly SteppedTime _time = new();
    private SimulatedStorage _storage = new();
    private ReceiveIntake? _intake;

    [Fact]
    public async Task The_same_message_over_another_connection_is_stored_once_and_acknowledged_again()
    {
        Start();
        Assert.True(await Send("a", connection: 1));
        Assert.True(await Send("a", connection: 2));
        Assert.True(await Send("a", connection: 3));
        Assert.Equal(["a"], Lines());
        Assert.Equal((1, 1, 2), (_intake!.Status(0).Chunks, _intake.Status(0).Lines, _intake.Status(0).Repeats));
    }

    [Fact]
    public async Task The_same_message_after_a_kill_is_stored_once()
    {
        Start();
        Assert.True(await Send("a", connection: 1));
        Kill();
        Start();
        // A new process counts its connections from 1 again.
        Assert.True(await Send("a", connection: 1));
        Assert.Equal(["a"], Lines());
        Assert.Equal(1, _intake!.Status(0).Repeats);
    }

    [Fact]
    public async Task The_same_message_over_the_connection_that_has_its_ack_is_another_one_of_the_same_content()
    {
        Start();
        Assert.True(await Send("a", connection: 1));
        Assert.True(await Send("a", connection: 1));
        Assert.Equal(["a", "a"], Lines());
        // And its repetition is one again, also the one after a kill.
        Assert.True(await Send("a", connection: 2));
        Kill();
        Start();
        Assert.True(await Send("a", connection: 7));
        Assert.Equal(["a", "a"], Lines());
        Assert.True(await Send("a", connection: 7));
        Assert.Equal(["a", "a", "a"], Lines());
    }

    [Theory]
    [InlineData("a", "tag", "other id", "10.0.0.1")]
    [InlineData("a", "other tag", "id", "10.0.0.1")]
    [InlineData("b", "tag", "id", "10.0.0.1")]
    [InlineData("a", "tag", "id", "10.0.0.2")]
    [InlineData("a", "tagi", "d", "10.0.0.1")]
    public async Task A_message_that_differs_in_anything_is_no_repetition(string line, string tag, string id, string address)
    {
        Start();
        Assert.True(await Send(Message([Encoding.ASCII.GetBytes("a")]), 1));
        Assert.True(await Send(Message([Encoding.ASCII.GetBytes(line)], tag, id), 2, address));
        Assert.Equal(["a", line], Lines());
    }

    [Fact]
    public async Task Messages_without_an_id_are_stored_as_often_as_they_come()
    {
        Start();
        var message = Message([Encoding.ASCII.GetBytes("a")], id: "");
        Assert.True(await Send(message, 1));
        Assert.True(await Send(message, 2));
        Assert.Equal(["a", "a"], Lines());
    }

    [Fact]
    public async Task A_message_killed_after_any_of_its_records_is_completed_by_its_repetition()
    {
        var (message, expected) = LargeMessage(megabytes: 4);
        Start();
        Assert.True(await Send("before", connection: 1));
        Assert.True(await Send(message, 1));
        Kill();
        var name = _storage.Names.Single();
        var image = _storage[name].ToArray();
        var ends = RecordEnds(image);
        Assert.InRange(ends.Count, 5, 12);
        for (var i = 0; i < ends.Count; i++)
        {
            // What a kill leaves: whole records, and nothing behind them.
            using var storage = new SimulatedStorage();
            _storage = storage;
            storage.Put(name, image);
            storage[name][ends[i]..].Clear();
            Start();
            Assert.True(await Send("before", connection: 9));
            Assert.True(await Send(message, 2));
            Assert.Equal([.. expected.Prepend("before")], Lines());
            Kill();
            Start();
            Assert.True(await Send(message, 3));
            Assert.Equal([.. expected.Prepend("before")], Lines());
            Kill();
        }
    }

    [Fact]
    public async Task A_message_in_the_midst_of_which_the_disk_fails_is_stored_once()
    {
        var (message, expected) = LargeMessage(megabytes: 4);
        for (var failAt = 1; ; failAt++)
        {
            using var storage = new SimulatedStorage();
            _storage = storage;
            // Small segments: each record of the message needs a new one, so there is much that can fail.
            Start(SegmentBytes / 32);
            Assert.True(await Send("before", connection: 1));
            storage.FailAt = storage.Calls + failAt;
            try
            {
                Assert.True(await Send(message, 1));
            }
            catch (LogException)
            {
                // No ack, so it comes again.
            }

            var isOver = storage.Calls < storage.FailAt;
            storage.FailAt = 0;
            if (failAt % 2 == 0)
            {
                Kill();
                Start(SegmentBytes / 32);
            }

            Assert.True(await Send(message, 2));
            Assert.Equal([.. expected.Prepend("before")], Lines());
            Kill();
            if (isOver)
            {
                Assert.InRange(failAt, 10, 1000);
                return;
            }
        }
    }

    [Fact]
    public async Task A_message_half_stored_in_a_full_log_goes_on_where_it_stopped()
    {
        var (message, expected) = LargeMessage(megabytes: 4);
        _storage.Capacity = 3 << 20;
        Start(SegmentBytes / 32);
        var first = Send(message, 1).AsTask();
        Assert.False(first.IsCompleted);
        var partly = Lines().Count;
        Assert.InRange(partly, 1, expected.Count - 1);
        // Refused after a while without an ack; the repetition finds it no fuller.
        _time.Advance(TimeSpan.FromSeconds(21));
        Assert.False(await first);
        var second = Send(message, 2).AsTask();
        Assert.Equal(partly, Lines().Count);
        // Two connections bring it at the same time, and there is room again: each part is taken from one of them.
        var third = Send(message, 3).AsTask();
        _storage.Capacity = long.MaxValue;
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await second);
        Assert.True(await third);
        Assert.Equal(expected, Lines());
        Assert.Single(_reports, static r => r.StartsWith("receive log: full", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_message_without_an_id_waits_for_room_as_long_as_it_takes()
    {
        _storage.Capacity = 1 << 20;
        Start(SegmentBytes / 32);
        var line = new byte[2 << 20];
        line.AsSpan().Fill((byte)'x');
        var sending = Send(Message([line], id: ""), 1).AsTask();
        _time.Advance(TimeSpan.FromHours(1));
        Assert.False(sending.IsCompleted);
        _storage.Capacity = long.MaxValue;
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await sending);
        Assert.Single(Lines());
    }

    [Fact]
    public async Task A_part_that_was_lost_with_the_machine_is_filled_by_the_repetition()
    {
        var (message, expected) = LargeMessage(megabytes: 4);
        Start();
        Assert.True(await Send(message, 1));
        Kill();
        var name = _storage.Names.Single();
        var ends = RecordEnds(_storage[name]);
        // The second part never reached the disk, those behind it did.
        var lost = _storage[name][ends[1]..ends[2]];
        Assert.True(lost.Length > 1 << 20);
        lost.Clear();
        Start();
        Assert.True(await Send(message, 2));
        var lines = Lines();
        Assert.Empty(expected.Except(lines));
        Assert.True(lines.Count > expected.Count);
    }

    [Fact]
    public async Task Beyond_the_bound_the_oldest_is_forgotten()
    {
        const int segment = 64 << 10;
        var most = ForeignTable.MessagesFor(segment);
        Assert.Equal(128, most);
        Start(segment);
        for (var i = 0; i <= most; i++)
            Assert.True(await Send($"{i}", connection: 1));
        Kill();
        Start(segment);
        Assert.True(await Send($"{most}", connection: 2));
        Assert.True(await Send("1", connection: 2));
        Assert.Equal(most + 1, Lines().Count);
        Assert.True(await Send("0", connection: 2));
        Assert.Equal(most + 2, Lines().Count);
        // Which took the place of the next one.
        Assert.True(await Send("1", connection: 3));
        Assert.Equal(most + 3, Lines().Count);
    }

    [Fact]
    public async Task What_is_remembered_outlives_the_records_and_costs_little_of_the_log()
    {
        const int segment = 1 << 20;
        Start(segment, retires: true);
        Assert.True(await Send("first", connection: 1));
        for (var i = 0; i < 1000; i++)
            Assert.True(await Send(Message([Encoding.ASCII.GetBytes($"{i} {new string('x', 10_000)}")]), 1));
        _intake!.Retire();
        Assert.InRange(_storage.Names.Count(), 1, 2);
        Assert.DoesNotContain("first", Lines());
        long stated = 0;
        using (var reader = new LogReader(_storage, 0))
        {
            while (reader.TryRead(out var record))
                stated += record.Kind == RecordKind.Peers ? record.Body.Length : 0;
        }

        Assert.InRange(stated, 1, segment / 16);
        Kill();
        Start(segment, retires: true);
        Assert.True(await Send("first", connection: 2));
        Assert.DoesNotContain("first", Lines());
        Assert.Equal(1, _intake.Status(0).Repeats);
    }

    [Theory]
    [InlineData(32 << 20, 65_536)]
    [InlineData(1 << 30, 65_536)]
    [InlineData(1 << 20, 2048)]
    [InlineData(64 << 10, 128)]
    public void Messages_remembered_follow_the_size_of_the_segments(long segment, int messages) => Assert.Equal(messages, ForeignTable.MessagesFor(segment));

    [Fact]
    public async Task Ids_of_any_type_and_messages_of_any_kind_are_recognised()
    {
        Start();
        // Message mode with text, PackedForward of fluentd with its newline, gzip, and an id that is a number.
        var number = "93a174ce55ece6f881a76d657373616765a3666f6f";
        string[] messages = [Vectors.MessageChunk, Vectors.PackedFluentd, Vectors.GzipTwoMembers, "94" + number[2..] + "81a56368756e6bcd3039"];
        foreach (var connection in new ulong[] { 1, 2, 3 })
        {
            foreach (var hex in messages)
                Assert.True(await Send(Vectors.Bytes(hex), connection));
        }

        Assert.Equal(["foo", "foo", "bar", "baz", "foo", "bar", "baz", "foo"], Lines());
        Assert.Equal(8, _intake!.Status(0).Repeats);
    }

    [Fact]
    public async Task Lines_are_counted_where_they_are_stored_blocks_and_broken_entries_included()
    {
        Start();
        var chunk = new ChunkWriter();
        chunk.Begin("tag"u8);
        var common = chunk.AddCommon(new EntryFields { Path = "a.log"u8 });
        chunk.AddCompact(1, "one"u8, 1, common);
        chunk.AddCompact(1, "two\nthree\n\nfive"u8, 4, -1);
        chunk.AddPacked([0xc3], 1);
        Assert.True(await Send(chunk.Finish(new ChunkOptions { Id = "id"u8, Origin = Guid.NewGuid(), Route = "r"u8, Number = 1, Done = 1 }).ToArray(), 1));
        Assert.True(await Send(Message(["six"u8.ToArray(), "seven"u8.ToArray()]), 1));

        Assert.Equal(7, _intake!.Status(0).Lines);
        var counts = new List<uint>();
        using var reader = new LogReader(_storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Chunk && ChunkRecord.TryParse(record.Body, out var stored))
                counts.Add(stored.Lines);
        }

        Assert.Equal([5u, 2u], counts);
    }

    [Fact]
    public void The_fingerprint_is_MurmurHash3()
    {
        // The test value of the reference implementation's x64 variant with seed 0.
        var print = new Fingerprint(Guid.Empty);
        print.Add("The quick brown fox jumps over the lazy dog"u8);
        Assert.Equal("6c1b07bc7bbc4be347939ac4a93c437a", Convert.ToHexStringLower(print.Value().ToByteArray()));
        var other = new Fingerprint(Guid.Empty);
        other.Add("The quick brown fox jumps over the lazy do"u8);
        other.Add("g"u8);
        Assert.NotEqual(print.Value(), other.Value());
    }

    public void Dispose()
    {
        _intake?.Dispose();
        _storage.Dispose();
    }

    private void Start(int segmentBytes = SegmentBytes, bool retires = false) => _intake = new ReceiveIntake(
        new ReceiveSettings("test"), _storage, new LogOptions { SegmentBytes = segmentBytes, TimeProvider = _time, Cursors = retires ? [] : ["nobody"] },
        new LogTail(), _time, _reports.Add);

    private void Kill()
    {
        _intake = null;
        _storage.Kill();
    }

    private ValueTask<bool> Send(string line, ulong connection) => Send(Message([Encoding.ASCII.GetBytes(line)]), connection);

    private ValueTask<bool> Send(byte[] bytes, ulong connection, string address = "10.0.0.1")
    {
        var message = new ForwardMessage();
        Assert.True(message.Parse(bytes) > MessageKind.Heartbeat, message.Reason);
        return _intake!.ReceiveAsync(message, new ForwardPeer(address, connection), default);
    }

    private static byte[] Message(IEnumerable<byte[]> lines, string tag = "tag", string id = "id")
    {
        var chunk = new ChunkWriter();
        chunk.Begin(Encoding.ASCII.GetBytes(tag));
        foreach (var line in lines)
            chunk.Add(1_700_000_000_000_000_000, line);
        return chunk.Finish(new ChunkOptions { Id = Encoding.ASCII.GetBytes(id) }).ToArray();
    }

    // Lines of about 10 kB, all different.
    private static (byte[] Bytes, List<string> Lines) LargeMessage(int megabytes)
    {
        var lines = Enumerable.Range(0, megabytes * 100).Select(static i => string.Create(CultureInfo.InvariantCulture, $"{i:D6} {new string('x', 9_000 + i)}")).ToList();
        return (Message(lines.Select(Encoding.ASCII.GetBytes)), lines);
    }

    // Where each record but the seal ends, in a segment that is open.
    private static List<int> RecordEnds(ReadOnlySpan<byte> segment)
    {
        var ends = new List<int>();
        for (var at = 64; BinaryPrimitives.ReadUInt64LittleEndian(segment[at..]) != 0;)
        {
            at = (at + 24 + BinaryPrimitives.ReadInt32LittleEndian(segment[at..]) + 7) & ~7;
            ends.Add(at);
        }

        return ends;
    }

    private List<string> Lines()
    {
        var lines = new List<string>();
        using var reader = new LogReader(_storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind != RecordKind.Chunk)
                continue;
            Assert.True(ChunkRecord.TryParse(record.Body, out var chunk));
            var entries = new EntryReader(chunk.EntriesBytes, chunk.Common, new EntryScratch());
            while (entries.TryRead(out var entry))
                lines.Add(Encoding.ASCII.GetString(entry.Message));
        }

        return lines;
    }
}
