using System.Buffers.Binary;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Xunit;

namespace Hikyaku.Tests.Transfer;

public sealed class JournalTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("hikyaku-journal-").FullName;
    private readonly Guid _log = Guid.NewGuid();
    private readonly RebootedDisk _disk = new(Guid.NewGuid());
    private readonly List<string> _reports = [];

    private string PathOf => Path.Combine(_directory, "j");

    [Fact]
    public void What_was_journaled_comes_back_after_a_kill()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        journal.Append(new Written(first, 1, 10), "a"u8);
        journal.Append(new Written(first + 1, 10, 20), "b"u8);
        journal.Acknowledge(first);
        journal.Append(new Written(first + 2, 20, 30), "c"u8);
        // No dispose: a kill.
        var again = Load();
        Assert.Equal((At(10), first + 1), (again.Base.Position, again.Base.NextNumber));
        Assert.Equal([(first + 1, At(10), At(20), (byte)'b'), (first + 2, At(20), At(30), (byte)'c')], again.Open.Select(static c => (c.Number, c.From, c.To, c.Note[0])));
        Assert.Equal("tail"u8.ToArray(), again.Base.Tails);
        Assert.Equal(3, again.Base.Lines);
    }

    [Fact]
    public void A_cut_entry_at_the_end_is_as_if_it_had_not_been_written()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        journal.Append(new Written(first, 1, 10), "a"u8);
        journal.Append(new Written(first + 1, 10, 20), "b"u8);
        var bytes = File.ReadAllBytes(PathOf);
        var used = bytes.Length - bytes.Reverse().TakeWhile(static b => b == 0).Count();
        for (var cut = used - 1; cut > used - 60; cut--)
        {
            File.WriteAllBytes(PathOf, bytes[..cut]);
            Assert.Equal(first, Assert.Single(Load().Open).Number);
        }
    }

    [Fact]
    public void The_time_of_the_oldest_line_comes_back_with_its_chunk()
    {
        Load().Append(new Written(1, 1, 10) { Oldest = 1234 }, "a"u8);
        Assert.Equal(1234, Assert.Single(Load().Open).Oldest);
        // Also when it was written anew in between.
        Assert.Equal(1234, Assert.Single(Load().Open).Oldest);
    }

    [Fact]
    public void A_chunk_of_a_version_that_knew_no_oldest_line_is_read()
    {
        Load().Append(new Written(7, 1, 10), "a"u8);
        var bytes = File.ReadAllBytes(PathOf);
        var used = (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes) + 9;
        var entry = bytes.AsSpan(used);
        var length = (int)BinaryPrimitives.ReadUInt32LittleEndian(entry);
        byte[] earlier = [.. BitConverter.GetBytes(length - 8), 0, 0, 0, 0, 2, .. entry.Slice(9 + 8, length - 8)];
        BinaryPrimitives.WriteUInt32LittleEndian(earlier.AsSpan(4), Crc32C.Compute(earlier.AsSpan(8)));
        File.WriteAllBytes(PathOf, [.. bytes.AsSpan(0, used), .. earlier]);

        var chunk = Assert.Single(Load().Open);

        Assert.Equal((7UL, At(1), At(10), 3L, 0L), (chunk.Number, chunk.From, chunk.To, chunk.Lines, chunk.Oldest));
        Assert.Equal("tail"u8.ToArray(), chunk.Tails);
    }

    [Fact]
    public void Unfinished_lines_that_stay_what_they_were_are_kept_once()
    {
        var long1 = new byte[100_000];
        var journal = Load();
        for (ulong i = 1; i <= 50; i++)
            journal.Append(new Written(i, i, i + 1) { Unfinished = long1 }, []);
        journal.Acknowledge(3);
        journal.Append(new Written(51, 51, 52), []);
        Assert.Equal(100_004, journal.TailBytes);
        var bytes = File.ReadAllBytes(PathOf);
        Assert.InRange(bytes.Length - bytes.Reverse().TakeWhile(static b => b == 0).Count(), 100_000, 200_000);

        // As it was appended, and as it was written anew.
        for (var life = 0; life < 2; life++)
        {
            var again = Load();
            Assert.Equal(100_004, again.TailBytes);
            Assert.All(again.Open.Take(50), c => Assert.Equal(100_000, c.Tails.Length));
            Assert.Equal("tail"u8.ToArray(), again.Tails);
            again.Append(new Written(52 + (ulong)life, 52 + (ulong)life, 53 + (ulong)life), []);
        }
    }

    [Fact]
    public void A_lost_journal_begins_another_series_of_numbers()
    {
        var journal = Load();
        journal.Append(new Written(1, 1, 2), []);
        File.Delete(PathOf);
        Assert.NotEqual(journal.Series, Load().Series);
    }

    [Fact]
    public void A_journal_keeps_its_series()
    {
        var journal = Load();
        journal.Append(new Written(1, 1, 2), []);
        Assert.Equal(journal.Series, Load().Series);
        Assert.Equal(journal.Series, AfterBoot(sync: true, bootStart: 2).Series);
    }

    [Fact]
    public void After_another_boot_unsynced_numbers_are_of_another_series()
    {
        var journal = Load();
        journal.Append(new Written(1, 1, 10), "a"u8);
        journal.Acknowledge(1);
        journal.Append(new Written(2, 10, 20), "a"u8);
        var other = AfterBoot(sync: false, bootStart: 20);
        Assert.NotEqual(journal.Series, other.Series);
        Assert.Equal((At(10), 1UL), (other.Base.Position, other.Base.NextNumber));
        Assert.Empty(other.Open);
        Assert.True(other.IsOfEarlierBoot);
    }

    [Fact]
    public void Records_that_a_loss_of_power_took_leave_the_journal_and_their_numbers_stay_used()
    {
        var journal = Load();
        journal.Append(new Written(1, 1, 10), "a"u8);
        journal.Append(new Written(2, 10, 20), "b"u8);
        journal.Append(new Written(3, 20, 30), "c"u8);
        var other = AfterBoot(sync: true, bootStart: 15);
        Assert.Equal([(1UL, At(1), At(10)), (2UL, At(10), At(15)), (4UL, At(15), At(15))], other.Open.Select(static c => (c.Number, c.From, c.To)));
        other.Acknowledge(1);
        other.Acknowledge(2);
        Assert.Equal((At(15), 5UL), (other.Base.Position, other.Base.NextNumber));
        Assert.Empty(other.Open);
    }

    [Fact]
    public void A_journal_that_is_ahead_of_its_log_goes_back_to_where_the_log_went_on()
    {
        var journal = Load();
        journal.Append(new Written(1, 1, 10), "a"u8);
        journal.Acknowledge(1);
        journal.Append(new Written(2, 10, 20), "b"u8);
        journal.Acknowledge(2);
        journal.Flush(keepsHalves: false);
        var other = AfterBoot(sync: true, bootStart: 7);
        Assert.Equal((At(7), 3UL), (other.Base.Position, other.Base.NextNumber));
        Assert.Empty(other.Base.Tails);
    }

    [Fact]
    public void A_journal_written_anew_after_a_failed_sync_is_durable_before_a_cursor_relies_on_it()
    {
        var disk = new PoweredDisk();
        using (var journal = Load(disk))
        {
            journal.Append(new Written(1, 1, 10), "a"u8);
            journal.Acknowledge(1);
            disk.FailsNextSync = true;
            Assert.Throws<IOException>(() => journal.Append(new Written(2, 10, 20), "b"u8));
            journal.Flush(keepsHalves: true);
        }

        disk.LosePower();
        Assert.Equal(At(10), Load(new PoweredDisk()).Base.Position);

        Journal Load(Disk disk) => Journal.Load(PathOf, PathOf + ".cursor", _log, ulong.MaxValue, disk, sync: true, _reports.Add);
    }

    [Fact]
    public void A_journal_of_another_log_starts_anew_and_says_so()
    {
        var journal = Load();
        journal.Append(new Written(journal.Base.NextNumber, 1, 10), "a"u8);
        var other = Journal.Load(PathOf, PathOf + ".cursor", Guid.NewGuid(), ulong.MaxValue, _disk, sync: false, _reports.Add);
        Assert.Equal(LogPosition.Start, other.Base.Position);
        Assert.Contains("another log", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void The_chunk_that_makes_the_journal_too_long_is_in_the_new_one()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        var note = new byte[300_000];
        for (ulong i = 0; i < 12; i++)
        {
            journal.Append(new Written(first + i, i + 1, i + 2), note);
            // A kill right after any chunk: it must be there.
            Assert.Equal(first + i, Load().Open.Last().Number);
            journal = Load();
            if (i >= 1)
                journal.Acknowledge(first + i - 1);
        }
    }

    [Fact]
    public void Chunks_delivered_out_of_order_are_not_delivered_again()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        for (ulong i = 0; i < 5; i++)
            journal.Append(new Written(first + i, i + 1, i + 2), []);
        journal.Acknowledge(first + 3);
        journal.Acknowledge(first + 1);
        journal.Flush(keepsHalves: false);
        var again = Load();
        Assert.Equal(LogPosition.Start, again.Base.Position);
        Assert.Equal([false, true, false, true, false], again.Open.Select(static c => c.Acknowledged));
        again.Acknowledge(first);
        Assert.Equal(At(3), again.Base.Position);
        Assert.Equal(first + 2, again.Lowest);
    }

    [Fact]
    public void A_lost_journal_goes_on_at_the_cursor_and_says_so()
    {
        Cursor.Write(PathOf + ".cursor", 77);
        Assert.Equal(At(77), Load().Base.Position);
        Assert.Contains("cursor", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void A_long_journal_is_written_anew_and_stays_short()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        const int chunks = 20_000;
        for (ulong i = 0; i < chunks; i++)
        {
            journal.Append(new Written(first + i, i + 1, i + 2), "note of some length"u8);
            if (i >= 3)
                journal.Acknowledge(first + i - 3);
        }

        journal.Flush(keepsHalves: false);
        Assert.True(new FileInfo(PathOf).Length <= 4 << 20);
        var again = Load();
        Assert.Equal(3, again.Open.Count);
        Assert.Equal(At(chunks - 2UL), again.Base.Position);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static LogPosition At(ulong record) => new(record, 0);

    private Journal Load() => Journal.Load(PathOf, PathOf + ".cursor", _log, ulong.MaxValue, _disk, sync: false, _reports.Add);

    private Journal AfterBoot(bool sync, ulong bootStart) =>
        Journal.Load(PathOf, PathOf + ".cursor", _log, bootStart, new RebootedDisk(Guid.NewGuid()), sync, _reports.Add);

    private sealed class Written : Chunk
    {
        public Written(ulong number, ulong from, ulong to)
        {
            (Number, From, To) = (number, At(from), At(to));
            Tails.Append("tail"u8);
            var source = new LineSource([], [], 0, 0);
            for (var i = 0; i < 3; i++)
                Add(new LineBlock(source, 0, "x"u8));
        }

        public byte[] Unfinished
        {
            init
            {
                Tails.Clear();
                Tails.Append(value);
            }
        }

        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in LineBlock lines)
        {
        }
    }
}
