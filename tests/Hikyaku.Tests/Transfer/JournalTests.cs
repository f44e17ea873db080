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
    public void A_lost_journal_never_leads_to_a_number_used_before()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        for (ulong i = 0; i < 1000; i++)
            journal.Append(new Written(first + i, i + 1, i + 2), []);
        File.Delete(PathOf);
        SpinWait.SpinUntil(() => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() > (long)(first >> 16));
        Assert.True(Load().Base.NextNumber > first + 1000);
    }

    [Fact]
    public void After_another_boot_unsynced_numbers_are_not_used_again()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        journal.Append(new Written(first, 1, 10), "a"u8);
        journal.Acknowledge(first);
        journal.Flush();
        SpinWait.SpinUntil(() => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() > (long)(first >> 16));
        var other = Journal.Load(PathOf, PathOf + ".cursor", _log, new RebootedDisk(Guid.NewGuid()), sync: false, TimeProvider.System, _reports.Add);
        Assert.Equal(At(10), other.Base.Position);
        Assert.True(other.Base.NextNumber > first + 1);
        Assert.Empty(other.Open);
    }

    [Fact]
    public void A_journal_of_another_log_starts_anew_and_says_so()
    {
        var journal = Load();
        journal.Append(new Written(journal.Base.NextNumber, 1, 10), "a"u8);
        var other = Journal.Load(PathOf, PathOf + ".cursor", Guid.NewGuid(), _disk, sync: false, TimeProvider.System, _reports.Add);
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
        journal.Flush();
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
    public void A_clock_that_went_back_does_not_bring_old_numbers()
    {
        var journal = Load();
        var first = journal.Base.NextNumber;
        journal.Append(new Written(first, 1, 2), []);
        var past = new Stopped(TimeProvider.System.GetUtcNow().AddDays(-30));
        var other = Journal.Load(PathOf, PathOf + ".cursor", _log, new RebootedDisk(Guid.NewGuid()), sync: false, past, _reports.Add);
        Assert.True(other.Base.NextNumber > first);
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

        journal.Flush();
        Assert.True(new FileInfo(PathOf).Length <= 4 << 20);
        var again = Load();
        Assert.Equal(3, again.Open.Count);
        Assert.Equal(At(chunks - 2UL), again.Base.Position);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private static LogPosition At(ulong record) => new(record, 0);

    private Journal Load() => Journal.Load(PathOf, PathOf + ".cursor", _log, _disk, sync: false, TimeProvider.System, _reports.Add);

    private sealed class Stopped(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }

    private sealed class Written : Chunk
    {
        public Written(ulong number, ulong from, ulong to)
        {
            (Number, From, To) = (number, At(from), At(to));
            Tails.Append("tail"u8);
            var source = new LineSource([], [], 0, 0);
            for (var i = 0; i < 3; i++)
                Add(new Line(source, 0, "x"u8));
        }

        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in Line line)
        {
        }
    }
}
