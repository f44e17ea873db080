using System.Text;
using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

/// <summary>The catalogue: one test per kind of damage, each ending with a fresh record getting through.</summary>
public sealed class CorruptionTests : IDisposable
{
    private const string First = "00000000000000000001.open", FirstSealed = "00000000000000000001.sealed";

    private readonly SimulatedStorage _storage = new();
    private readonly List<string> _reports = [];

    private LogOptions Options => Small with { Report = _reports.Add };

    public void Dispose() => _storage.Dispose();

    private void Write(int records)
    {
        using var writer = LogWriter.Open(_storage, Options);
        writer.AppendMany(0, records);
    }

    // Reopens, appends "fresh" and reads everything.
    private List<string> ReopenAndRead(out LogReader closed)
    {
        using (var writer = LogWriter.Open(_storage, Options)) writer.Append("fresh");
        using var reader = new LogReader(_storage, 0) { Report = _reports.Add };
        closed = reader;
        return reader.ReadAll();
    }

    [Fact]
    public void A_body_cut_off_by_a_kill_is_overwritten_without_a_word()
    {
        Write(10);
        int tail = Tail(First);
        _storage[First].Slice(tail + 8, 500).Fill(0xAB);
        Assert.Equal([.. Numbers(0, 10), "fresh"], ReopenAndRead(out var reader));
        Assert.Empty(_reports);
        Assert.Equal(0, reader.DamagedRegions);
        Assert.False(_storage[First][Tail(First)..].ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void A_torn_tail_with_a_length_is_copied_aside_and_overwritten()
    {
        Write(10);
        int tail = Tail(First);
        _storage[First].Slice(tail, 500).Fill(0xAB);
        Assert.Equal([.. Numbers(0, 10), "fresh"], ReopenAndRead(out _));
        Assert.Contains($"torn at byte {tail}", Assert.Single(_reports), StringComparison.Ordinal);
        Assert.True(_storage[$"{First}.damaged-{tail}"].SequenceEqual(Enumerable.Repeat((byte)0xAB, 500).ToArray()));
    }

    [Fact]
    public void A_flipped_bit_in_a_body_of_the_open_segment_costs_that_record()
    {
        Write(10);
        int at = Offsets(_storage, First)[4];
        _storage[First][at + 100] ^= 1;
        var before = _storage[First].Slice(at, 1048).ToArray();
        Assert.Equal(["0", "1", "2", .. Numbers(4, 10), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((1, 1, 0), (reader.DamagedRegions, reader.DamagedRecords, reader.Missed));
        Assert.Contains($"damaged at byte {at} (1048 bytes, 1 records lost)", _reports[0], StringComparison.Ordinal);
        Assert.True(_storage[$"{First}.damaged-{at}"].SequenceEqual(before));
        Assert.False(new LogInspection(_storage).Verify(TextWriter.Null));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(20)]
    public void A_damaged_record_header_costs_that_record(int field)
    {
        Write(10);
        int at = Offsets(_storage, First)[4];
        _storage[First][at + field] ^= 0x40;
        Assert.Equal(["0", "1", "2", .. Numbers(4, 10), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((1, 1), (reader.DamagedRegions, reader.DamagedRecords));
    }

    [Fact]
    public void A_lost_page_of_zeros_costs_the_records_on_it()
    {
        Write(20);
        _storage[First].Slice(4096, 4096).Clear();
        // Records are 1048 bytes behind a header of 64: 4 to 8 touch the second page.
        Assert.Equal(["0", "1", "2", .. Numbers(8, 20), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((1, 5), (reader.DamagedRegions, reader.DamagedRecords));
    }

    [Fact]
    public void Damage_in_a_sealed_segment_is_passed_by_the_reader_and_left_by_the_writer()
    {
        Write(100);
        int at = Offsets(_storage, FirstSealed)[4];
        _storage[FirstSealed].Slice(at + 8, 3000).Clear();
        var before = _storage[FirstSealed].ToArray();
        Assert.Equal(["0", "1", "2", .. Numbers(6, 100), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((1, 3, 0), (reader.DamagedRegions, reader.DamagedRecords, reader.Missed));
        Assert.True(_storage[FirstSealed].SequenceEqual(before));
        Assert.True(new LogInspection(_storage).Verify(TextWriter.Null));
    }

    [Fact]
    public void Bytes_inside_a_damaged_body_that_look_like_a_record_are_not_taken_for_one()
    {
        using (var writer = LogWriter.Open(_storage, Options))
        {
            writer.AppendMany(0, 5);
            // The image of the record that will come next, as the content of the one before it.
            var other = new SimulatedStorage();
            using (var copy = LogWriter.Open(other, Options))
            {
                copy.AppendMany(0, 6);
                copy.Append("forged");
            }
            int from = Offsets(other, First)[7];
            writer.TryAppend(RecordKind.Write, default, other[First].Slice(from, 64), out _);
            other.Dispose();
            writer.Append("true");
        }
        _storage[First][Offsets(_storage, First)[6] + 4] ^= 1;
        Assert.Equal([.. Numbers(0, 5), "true", "fresh"], ReopenAndRead(out _));
    }

    [Fact]
    public void A_damaged_seal_does_not_stop_a_reader()
    {
        Write(100);
        var (_, seal) = Offsets(_storage, FirstSealed).MaxBy(o => o.Key);
        _storage[FirstSealed][seal + 4] ^= 1;
        Assert.Equal([.. Numbers(0, 100), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal(1, reader.DamagedRegions);
        Assert.True(new LogInspection(_storage).Verify(TextWriter.Null));
    }

    [Fact]
    public void A_missing_seal_does_not_stop_a_reader()
    {
        Write(100);
        var (_, seal) = Offsets(_storage, FirstSealed).MaxBy(o => o.Key);
        _storage[FirstSealed].Slice(seal, 32).Clear();
        Assert.Equal([.. Numbers(0, 100), "fresh"], ReopenAndRead(out _));
    }

    [Fact]
    public void A_segment_with_a_damaged_header_is_set_aside_and_reading_goes_on()
    {
        Write(150);
        _storage[FirstSealed][20] ^= 1;
        ulong second = Segments()[1];
        Assert.Equal([.. Numbers((int)second - 2, 150), "fresh"], ReopenAndRead(out _));
        Assert.Contains($"{FirstSealed}.damaged", _storage.Names);
        Assert.Contains("set aside", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void The_open_segment_with_a_damaged_header_is_set_aside_and_its_numbers_are_not_used_again()
    {
        Write(10);
        _storage[First][0] ^= 1;
        using var writer = LogWriter.Open(_storage, Options);
        Assert.True(writer.NextSequence > 10);
        writer.Append("fresh");
        Assert.Equal(["fresh"], ReadAll(_storage));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(10)]
    [InlineData(63)]
    public void An_empty_or_short_segment_file_is_set_aside(int bytes)
    {
        Write(10);
        _storage.Put("00000000000000000400.open", new byte[bytes]);
        Assert.Equal([.. Numbers(0, 10), "fresh"], ReopenAndRead(out _));
        Assert.Contains("00000000000000000400.open.damaged", _storage.Names);
    }

    [Fact]
    public void A_truncated_segment_ends_where_it_ends_and_the_log_goes_on()
    {
        Write(10);
        _storage.Put(First, _storage[First][..5001].ToArray());
        Assert.Equal([.. Numbers(0, 4), "fresh"], ReopenAndRead(out _));
    }

    [Fact]
    public void A_truncated_sealed_segment_is_passed_by_the_reader()
    {
        Write(100);
        _storage.Put(FirstSealed, _storage[FirstSealed][..5001].ToArray());
        ulong second = Segments()[1];
        Assert.Equal([.. Numbers(0, 4), .. Numbers((int)second - 2, 100), "fresh"], ReopenAndRead(out var reader));
        Assert.True(reader.DamagedRegions > 0);
    }

    [Fact]
    public void A_segment_of_another_log_is_set_aside()
    {
        Write(150);
        using var other = new SimulatedStorage();
        using (var stranger = LogWriter.Open(other, Options)) stranger.AppendMany(0, 5);
        var image = other[First].ToArray();
        BitConverter.TryWriteBytes(image.AsSpan(32), 5000ul);
        Resum(image);
        _storage.Put("00000000000000005000.sealed", image);
        Assert.Equal([.. Numbers(0, 150), "fresh"], ReopenAndRead(out _));
        Assert.Contains("belongs to another log", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void A_live_reader_is_not_led_astray_by_a_foreign_segment()
    {
        using var writer = LogWriter.Open(_storage, Options);
        using var reader = new LogReader(_storage, 0);
        writer.AppendMany(0, 10);
        Assert.Equal(Numbers(0, 10), reader.ReadAll());
        _storage.Put("00000000000000005000.sealed", new byte[100]);
        for (int poll = 0; poll < 3000; poll++) Assert.False(reader.TryRead(out _));
        writer.AppendMany(10, 200);
        Assert.Equal(Numbers(10, 200), reader.ReadAll());
        Assert.Equal(1, reader.DamagedRegions);
    }

    [Fact]
    public void A_segment_under_a_wrong_name_is_set_aside()
    {
        Write(10);
        _storage.Put("00000000000000000777.sealed", _storage[First].ToArray());
        Assert.Equal([.. Numbers(0, 10), "fresh"], ReopenAndRead(out _));
        Assert.Contains("not as its name", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_version_is_refused_by_name_and_nothing_is_changed()
    {
        Write(10);
        var image = _storage[First].ToArray();
        image[8] = 2;
        Resum(image);
        _storage.Put(First, image);
        var names = _storage.Names.ToList();
        var refusal = Assert.Throws<LogException>(() => LogWriter.Open(_storage, Options));
        Assert.Equal(LogFault.OtherVersion, refusal.Fault);
        Assert.Contains(First, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("version 2", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("version 1", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("move the directory away", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(names, _storage.Names);
        Assert.True(_storage[First].SequenceEqual(image));
        using var reader = new LogReader(_storage, 0);
        Assert.Equal(LogFault.OtherVersion, Assert.Throws<LogException>(() => reader.TryRead(out _)).Fault);
        Assert.Throws<LogException>(() => new LogInspection(_storage).Verify(TextWriter.Null));
        using var again = LogWriterAfter(() => _storage.Put(First, Revert(image)));
        Assert.Equal(11ul, again.NextSequence);
    }

    [Fact]
    public void A_missing_segment_in_the_middle_is_missed_and_reading_goes_on()
    {
        Write(200);
        var segments = Segments();
        _storage.Remove(SegmentName.Sealed(segments[1]));
        var texts = ReopenAndRead(out var reader);
        Assert.Equal((long)(segments[2] - segments[1]), reader.Missed);
        Assert.Equal("fresh", texts[^1]);
        Assert.Equal(200 - (int)reader.Missed + 1 + 1, texts.Count);
        var output = new StringWriter();
        new LogInspection(_storage).Verify(output);
        Assert.Contains($"no records {segments[1]} to {segments[2] - 1}", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_segment_there_as_open_and_as_sealed_is_read_once()
    {
        Write(100);
        _storage.Put(First, _storage[FirstSealed].ToArray());
        Assert.Equal([.. Numbers(0, 100), "fresh"], ReopenAndRead(out _));
        Assert.Contains("there as sealed too", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void Several_open_segments_are_sealed_but_for_the_last()
    {
        Write(200);
        var segments = Segments();
        foreach (ulong first in segments[..^1])
        {
            _storage.Rename(SegmentName.Sealed(first), SegmentName.Open(first));
            // As if the kill had come between the naming of the new segment and the seal of the old one.
            var (_, seal) = Offsets(_storage, SegmentName.Open(first)).MaxBy(o => o.Key);
            _storage[SegmentName.Open(first)].Slice(seal, 32).Clear();
        }
        Assert.Equal([.. Numbers(0, 200), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((0, 0), (reader.Missed, reader.DamagedRegions));
        Assert.Empty(_reports);
        Assert.Single(_storage.Names, n => n.EndsWith(".open", StringComparison.Ordinal));
        Assert.False(new LogInspection(_storage).Verify(TextWriter.Null));
    }

    [Fact]
    public void A_segment_sealed_last_is_followed_by_a_new_one()
    {
        Write(100);
        var segments = Segments();
        _storage.Remove(SegmentName.Open(segments[^1]));
        Assert.Equal([.. Numbers(0, (int)segments[1] - 2), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal(0, reader.Missed);
    }

    [Fact]
    public void A_spare_left_behind_is_removed()
    {
        Write(10);
        _storage.Put(SegmentName.Spare, new byte[1000]);
        using var writer = LogWriter.Open(_storage, Options);
        Assert.Equal([First], _storage.Names);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_sealed_segment_of_which_only_the_header_is_left_is_passed_by_the_reader(bool isCutOff)
    {
        Write(200);
        var segments = Segments();
        string name = SegmentName.Sealed(segments[1]);
        if (isCutOff) _storage.Put(name, _storage[name][..64].ToArray());
        else _storage[name][64..].Clear();
        int before = (int)segments[1] - 2, after = (int)segments[2] - 3;
        Assert.Equal([.. Numbers(0, before), .. Numbers(after, 200), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((long)(segments[2] - segments[1]), reader.Missed);
        Assert.True(new LogInspection(_storage).Verify(TextWriter.Null));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_number_of_a_last_segment_of_which_only_the_header_is_left_is_not_given_again(bool isCutOff)
    {
        Write(100);
        ulong last = Segments()[^1];
        _storage.Rename(SegmentName.Open(last), SegmentName.Sealed(last));
        _storage.Put(SegmentName.Sealed(last), isCutOff ? _storage[SegmentName.Sealed(last)][..64].ToArray() : [.. _storage[SegmentName.Sealed(last)][..64], .. new byte[1000]]);
        var expected = Numbers(0, (int)last - 2);
        Assert.Equal([.. expected, "fresh"], ReopenAndRead(out _));
        Assert.Equal([.. expected, "fresh", "fresh"], ReopenAndRead(out _));
        Assert.Equal(Segments().Distinct().Count(), _storage.Names.Count());
    }

    [Fact]
    public void An_open_segment_cut_down_to_its_header_is_followed_by_a_new_one()
    {
        Write(10);
        _storage.Put(First, _storage[First][..70].ToArray());
        Assert.Equal(["fresh"], ReopenAndRead(out _));
        Assert.Equal(["fresh", "fresh"], ReopenAndRead(out _));
    }

    [Fact]
    public void A_segment_passed_over_and_made_anew_under_its_number_is_read_by_who_was_there_before()
    {
        Write(200);
        ulong last = Segments()[^1];
        // Of another log by its header: it is set aside, and the number is given to a segment of ours.
        var image = _storage[SegmentName.Open(last)].ToArray();
        image[16] ^= 1;
        Resum(image);
        _storage.Put(SegmentName.Open(last), image);
        using var reader = new LogReader(_storage, 0);
        Assert.Equal(Numbers(0, (int)last - Segments().Count), reader.ReadAll());
        using var writer = LogWriter.Open(_storage, Options);
        Assert.Equal(last, writer.SegmentStart);
        writer.AppendMany(500, 700);
        Assert.Equal(Numbers(500, 700), reader.ReadAll());
        Assert.Equal((1, 0), (reader.DamagedRegions, reader.Missed));
    }

    [Fact]
    public void A_damaged_double_under_the_open_name_does_not_hide_the_sealed_segment()
    {
        Write(100);
        var image = _storage[FirstSealed].ToArray();
        image[20] ^= 1;
        _storage.Put(First, image);
        Assert.Equal(Numbers(0, 100), ReadAll(_storage));
        Assert.Equal([.. Numbers(0, 100), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((0, 0), (reader.Missed, reader.DamagedRegions));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_segment_cut_off_in_the_padding_of_a_record_ends_behind_that_record(bool isSealed)
    {
        using (var writer = LogWriter.Open(_storage, Options))
        {
            writer.Append("0");
            writer.Append("odd");
        }
        string name = isSealed ? FirstSealed : First;
        var cut = _storage[First][..(Offsets(_storage, First)[2] + 24 + 3)].ToArray();
        _storage.Remove(First);
        _storage.Put(name, cut);
        Assert.Equal(["0", "odd", "fresh"], ReopenAndRead(out var reader));
        Assert.Equal(0, reader.DamagedRecords);
        Assert.Equal(["0", "odd", "fresh", "fresh"], ReopenAndRead(out _));
    }

    [Fact]
    public void A_file_too_large_for_a_segment_is_set_aside()
    {
        using var directory = new TemporaryDirectory();
        var storage = new FileLogStorage(directory.Path);
        using (var writer = LogWriter.Open(storage, Options)) writer.AppendMany(0, 10);
        using (var large = File.Create(directory.In("00000000000000000400.open"))) large.SetLength(3L << 30);
        Assert.Equal(Numbers(0, 10), ReadAll(storage));
        Assert.True(new LogInspection(storage).Verify(TextWriter.Null));
        using (var writer = LogWriter.Open(storage, Options)) writer.Append("fresh");
        Assert.Equal([.. Numbers(0, 10), "fresh"], ReadAll(storage));
        Assert.True(File.Exists(directory.In("00000000000000000400.open.damaged")));
    }

    [Fact]
    public void Damage_at_the_first_and_at_the_last_record_costs_those_two()
    {
        Write(100);
        var offsets = Offsets(_storage, FirstSealed);
        ulong last = offsets.Keys.Max() - 1;
        _storage[FirstSealed][offsets[1] + 30] ^= 1;
        _storage[FirstSealed][offsets[last] + 30] ^= 1;
        Assert.Equal([.. Numbers(1, (int)last - 1), .. Numbers((int)last, 100), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((2, 2, 0), (reader.DamagedRegions, reader.DamagedRecords, reader.Missed));
    }

    [Fact]
    public void A_record_written_to_a_wrong_place_costs_the_one_that_was_there()
    {
        Write(10);
        var offsets = Offsets(_storage, First);
        var bytes = _storage[First];
        bytes.Slice(offsets[2], 1048).CopyTo(bytes[offsets[6]..]);
        Assert.Equal([.. Numbers(0, 5), .. Numbers(6, 10), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((1, 1), (reader.DamagedRegions, reader.DamagedRecords));
    }

    [Fact]
    public void Damage_that_cannot_be_copied_aside_is_left_but_for_its_head()
    {
        Write(10);
        int at = Offsets(_storage, First)[4];
        _storage[First][at + 100] ^= 1;
        var before = _storage[First].Slice(at, 1048).ToArray();
        _storage.Capacity = _storage[First].Length;
        Assert.Equal(["0", "1", "2", .. Numbers(4, 10), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((1, 1), (reader.DamagedRegions, reader.DamagedRecords));
        Assert.True(_storage[First].Slice(at + 32, 1048 - 32).SequenceEqual(before.AsSpan(32)));
        Assert.Contains("left where they are", string.Join(' ', _reports), StringComparison.Ordinal);
    }

    [Fact]
    public void A_page_of_zeros_within_the_open_segment_stops_no_reader_even_if_the_disk_is_full()
    {
        Write(10);
        var offsets = Offsets(_storage, First);
        _storage[First][offsets[4]..offsets[6]].Clear();
        _storage.Capacity = _storage[First].Length;
        Assert.Equal(["0", "1", "2", .. Numbers(5, 10), "fresh"], ReopenAndRead(out var reader));
        Assert.Equal((1, 2), (reader.DamagedRegions, reader.DamagedRecords));
    }

    [Fact]
    public void A_log_of_which_no_header_is_left_begins_anew_behind_the_numbers_it_gave()
    {
        Write(200);
        ulong next;
        using (var writer = LogWriter.Open(_storage, Options)) next = writer.NextSequence;
        foreach (string name in _storage.Names.ToList()) _storage[name][12] ^= 1;
        Assert.Equal(["fresh"], ReopenAndRead(out var reader));
        Assert.True(reader.Position > next);
        Assert.Equal(4, _reports.Count(r => r.Contains("set aside", StringComparison.Ordinal)));
    }

    [Fact]
    public void Random_damage_never_crashes_and_never_invents()
    {
        int seed = Environment.TickCount;
        for (int round = 0; round < 200; round++, seed++)
        {
            var dice = new Random(seed);
            using var storage = new SimulatedStorage();
            using (var writer = LogWriter.Open(storage, Small)) writer.AppendMany(0, 150);
            foreach (string name in storage.Names.ToList())
            {
                var bytes = storage[name];
                for (int hits = dice.Next(4); hits > 0; hits--)
                {
                    int at = dice.Next(bytes.Length), length = Math.Min(1 << dice.Next(13), bytes.Length - at);
                    if (dice.Next(2) == 0) bytes.Slice(at, length).Clear();
                    else dice.NextBytes(bytes.Slice(at, length));
                }
            }
            using (var writer = LogWriter.Open(storage, Small)) writer.Append("fresh");
            new LogInspection(storage).Verify(TextWriter.Null);
            var texts = ReadAll(storage);
            Assert.True(texts.Count > 0 && texts[^1] == "fresh", $"seed {seed}");
            var numbers = texts[..^1].Select(int.Parse).ToList();
            Assert.True(numbers.SequenceEqual(numbers.Distinct().Order()) && numbers.All(n => n is >= 0 and < 150), $"seed {seed}: {string.Join(',', numbers)}");
        }
    }

    private LogWriter LogWriterAfter(Action repair)
    {
        repair();
        return LogWriter.Open(_storage, Options);
    }

    private static byte[] Revert(byte[] image)
    {
        var copy = image.ToArray();
        copy[8] = 1;
        Resum(copy);
        return copy;
    }

    private static unsafe void Resum(byte[] image)
    {
        byte[] rest = [.. image.AsSpan(0, 12), .. image.AsSpan(16, 48)];
        fixed (byte* p = rest) BitConverter.TryWriteBytes(image.AsSpan(12), Crc32C.Compute(p, 60));
    }

    private int Tail(string name)
    {
        var (sequence, offset) = Offsets(_storage, name).MaxBy(o => o.Key);
        return offset + (BitConverter.ToInt32(_storage[name].Slice(offset, 4)) + 24 + 7 & ~7);
    }

    private List<ulong> Segments() =>
        [.. _storage.Names.Where(n => SegmentName.TryParse(n, out _, out _)).Select(n => ulong.Parse(n.AsSpan(0, 20))).Order()];
}
