using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

public sealed class StorageFailureTests
{
    [Theory]
    [InlineData(LogFault.Storage, false)]
    [InlineData(LogFault.DiskFull, false)]
    [InlineData(LogFault.Storage, true)]
    [InlineData(LogFault.DiskFull, true)]
    public void Whichever_storage_call_fails_nothing_acknowledged_is_lost(LogFault fault, bool keepsFailing)
    {
        int calls = int.MaxValue;
        for (int failAt = 1; failAt <= calls; failAt++)
        {
            using var cursors = new TemporaryDirectory();
            using var storage = new SimulatedStorage { FailWith = fault, KeepsFailing = keepsFailing };
            // Something to recover: a torn tail, damage in the middle, an open segment that is not the last.
            using (var writer = LogWriter.Open(storage, Small)) writer.AppendMany(0, 100);
            var segments = storage.Names.Where(n => n.EndsWith(".sealed", StringComparison.Ordinal)).ToList();
            storage.Rename(segments[0], segments[0].Replace(".sealed", ".open", StringComparison.Ordinal));
            string last = storage.Names.Last(n => n.EndsWith(".open", StringComparison.Ordinal));
            storage[last][^1] = 1;
            storage[last][Offsets(storage, last).Values.Order().Skip(2).First() + 30] ^= 1;
            int before = ReadAll(storage).Count;
            Assert.Equal(99, before);

            int start = storage.Calls;
            storage.FailAt = start + failAt;
            var acknowledged = new List<string>();
            Work(storage, cursors, acknowledged);
            bool reached = storage.Calls >= start + failAt;
            storage.Kill();

            using (var writer = LogWriter.Open(storage, Small)) writer.Append("fresh");
            using var reader = new LogReader(storage, 0);
            var texts = reader.ReadAll();
            Assert.Equal("fresh", texts[^1]);
            var missing = acknowledged.Except(texts).ToList();
            Assert.True(missing.Count == 0, $"call {failAt}: {string.Join(',', missing)}");
            Assert.True(texts.Count >= before + acknowledged.Count, $"call {failAt}");
            Assert.Equal(texts.Count, texts.Distinct().Count());
            calls = reached ? failAt + 1 : failAt;
        }
        Assert.True(calls > 25);
    }

    private static void Work(SimulatedStorage storage, TemporaryDirectory cursors, List<string> acknowledged)
    {
        LogWriter? writer = null;
        try
        {
            writer = LogWriter.Open(storage, Small with { CursorDirectory = cursors.Path });
            for (int i = 1000; i < 1300; i++)
            {
                try
                {
                    if (i % 50 == 0) writer.Prepare();
                    if (i % 60 == 0) writer.Retire();
                    // Refused by the failing call, the same append is accepted by the next one.
                    try
                    {
                        writer.Append($"{i} ".PadRight(1024, '.'));
                    }
                    catch (Exception e) when (e is LogException or InvalidOperationException)
                    {
                        writer.Append($"{i} ".PadRight(1024, '.'));
                    }
                    acknowledged.Add($"{i}");
                    if (i % 70 == 0) writer.Commit();
                }
                catch (Exception e) when (e is LogException || storage.KeepsFailing && e is InvalidOperationException)
                {
                    // The owner answers EIO or ENOSPC and goes on.
                }
            }
        }
        catch (LogException)
        {
            // The owner gives up and is restarted.
        }
        finally
        {
            writer?.Dispose();
        }
        Assert.Equal(0, storage.OpenMappings);
        // Nobody holds the lock any more, whatever happened.
        storage.FailAt = 0;
        storage.Lock().Dispose();
    }

    [Fact]
    public void A_commit_after_a_failed_one_writes_again_what_the_kernel_forgot()
    {
        using var storage = new SimulatedStorage();
        using var writer = LogWriter.Open(storage, Small);
        writer.AppendMany(0, 5);
        ulong committed = writer.CommittedSequence;
        storage.FailAt = storage.Calls + 1;
        Assert.Throws<LogException>(writer.Commit);
        Assert.Equal(committed, writer.CommittedSequence);
        storage.Rewritten = 0;
        writer.AppendMany(5, 10);
        writer.Commit();
        Assert.True(storage.Rewritten > 0);
        Assert.Equal(writer.NextSequence, writer.CommittedSequence);
        Assert.Equal(Numbers(0, 10), ReadAll(storage));
    }

    [Fact]
    public void A_reader_that_met_a_failing_call_goes_on_where_it_was()
    {
        for (int failAt = 1; failAt < 20; failAt++)
        {
            using var storage = new SimulatedStorage();
            using (var writer = LogWriter.Open(storage, Small)) writer.AppendMany(0, 200);
            using var reader = new LogReader(storage, 0);
            storage.FailAt = storage.Calls + failAt;
            var texts = new List<string>();
            for (int attempt = 0; attempt < 3; attempt++)
            {
                try
                {
                    while (reader.TryRead(out var record)) texts.Add(System.Text.Encoding.UTF8.GetString(record.Body).TrimEnd('.', ' '));
                }
                catch (LogException)
                {
                    // Tried again.
                }
            }
            Assert.Equal(Numbers(0, 200), texts);
            Assert.Equal((0, 0), (reader.Missed, reader.DamagedRegions));
        }
    }
}
