using System.Buffers.Binary;
using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Log;

public sealed class LiveReadingTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Readers_follow_a_writer_that_rotates_commits_prepares_and_retires()
    {
        const int Records = 60_000;
        string cursors = Directory.CreateDirectory(_directory.In("cursors")).FullName;
        var options = new LogOptions { SegmentBytes = 64 << 10, CursorDirectory = cursors, Cursors = ["0", "1"] };
        using var writer = LogWriter.Open(new FileLogStorage(_directory.In("log")), options);
        bool isDone = false;
        var readers = new Thread[2];
        var failures = new Exception?[4];
        var sums = new (int Records, long Missed, long Damaged)[2];
        for (int i = 0; i < 2; i++)
        {
            int which = i;
            readers[i] = Start(failures, which, () =>
            {
                using var reader = new LogReader(new FileLogStorage(_directory.In("log")), 0);
                int next = 0;
                while (next < Records && failures.All(f => f is null))
                {
                    if (!reader.TryRead(out var record))
                    {
                        Cursor.Write(Path.Combine(cursors, $"{which}.cursor"), reader.Position);
                        Thread.Yield();
                        continue;
                    }
                    Assert.Equal(next, BinaryPrimitives.ReadInt32LittleEndian(record.Body));
                    Assert.False(record.Body[4..].ContainsAnyExcept((byte)next));
                    next++;
                }
                sums[which] = (next, reader.Missed, reader.DamagedRegions);
            });
        }
        var commits = Start(failures, 2, () =>
        {
            while (!Volatile.Read(ref isDone))
            {
                ulong before = writer.NextSequence;
                writer.Commit();
                Assert.True(writer.CommittedSequence >= before);
            }
        });
        var upkeep = Start(failures, 3, () =>
        {
            while (!Volatile.Read(ref isDone))
            {
                writer.Prepare();
                writer.Retire();
            }
        });
        var dice = new Random(5);
        var body = new byte[2000];
        for (int i = 0; i < Records; i++)
        {
            int length = 4 + dice.Next(dice.Next(300) == 0 ? 1900 : 200);
            body.AsSpan(4, length - 4).Fill((byte)i);
            BinaryPrimitives.WriteInt32LittleEndian(body, i);
            Assert.True(writer.TryAppend(RecordKind.Write, body.AsSpan(0, 4), body.AsSpan(4, length - 4), out _));
        }
        foreach (var reader in readers) reader.Join();
        Volatile.Write(ref isDone, true);
        commits.Join();
        upkeep.Join();
        Assert.All(failures, Assert.Null);
        Assert.All(sums, s => Assert.Equal((Records, 0, 0), s));
        writer.Retire();
        Assert.True(writer.FirstSequence > 1);
    }

    private static Thread Start(Exception?[] failures, int slot, Action action)
    {
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                failures[slot] = e;
            }
        });
        thread.Start();
        return thread;
    }

    [Fact]
    public void A_reader_that_lies_behind_finishes_the_deleted_segment_it_has_mapped()
    {
        var options = LogTestKit.Small with { Cursors = [] };
        using var writer = LogWriter.Open(new FileLogStorage(_directory.In("log")), options);
        using var reader = new LogReader(new FileLogStorage(_directory.In("log")), 0);
        writer.AppendMany(0, 10);
        Assert.True(reader.TryRead(out _));
        writer.AppendMany(10, 500);
        ulong second = writer.SegmentStart;
        writer.Retire();
        var sequences = new List<ulong>();
        while (reader.TryRead(out var record)) sequences.Add(record.Sequence);
        Assert.Equal(2ul, sequences[0]);
        Assert.Equal(writer.NextSequence - 1, sequences[^1]);
        int first = sequences.FindIndex(sequence => sequence >= second);
        // Between the two lies, besides what was missed, the seal of the first segment.
        Assert.Equal(sequences[first] - sequences[first - 1] - 2, (ulong)reader.Missed);
        Assert.True(reader.Missed > 100);
    }
}
