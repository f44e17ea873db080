using Hikyaku.Fuzz.Inputs;
using Hikyaku.Log;

namespace Hikyaku.Fuzz.Targets;

/// <summary>
/// Segments damaged in every way. Nothing throws but a refusal of another version, which changes nothing; what is read was written, in order
/// and once; reading ends; after the recovery what is appended is read, by a reader that starts then and by one that was there before.
/// </summary>
internal sealed class LogTarget : FuzzTarget
{
    // Enough for a reader that waits at an abandoned segment to look around again.
    private const int PollsMax = 5000;

    public override string Name => "log";

    public override int SmokeRounds => 700;

    public override byte[] Make(Dice dice) => LogImages.Make(dice).Store();

    public override void Run(byte[] input)
    {
        var images = LogImages.Parse(input);
        var dice = new Dice(Dice.Hash(input));
        using var storage = new GuardedStorage();
        foreach (var (name, bytes) in images.Files)
            storage.Put(name, bytes);

        using var live = new LogReader(storage, 0);
        var before = new Progress(images.IsForged);
        var isRefused = Refuses(() => before.Read(live, dice.OneIn(3) ? dice.Below(50) : int.MaxValue));
        isRefused |= Refuses(() => new LogInspection(storage).Verify(TextWriter.Null));
        isRefused |= Refuses(() => new LogInspection(storage).Dump(TextWriter.Null));
        var reports = new List<string>();
        var options = LogImages.Options with { Floor = () => live.Position, Report = reports.Add };
        LogWriter? writer = null;
        if (Refuses(() => writer = LogWriter.Open(storage, options)))
        {
            foreach (var (name, bytes) in images.Files)
                BrokenPromise.Unless(name == SegmentName.Spare || storage[name].SequenceEqual(bytes), $"a refused log is left as it was, {name} too");
            return;
        }
        BrokenPromise.Unless(!isRefused, "a log that readers refuse is not written either");
        var fresh = new List<ulong>();
        using (writer!)
        {
            var identity = writer!.Identity;
            var next = writer.NextSequence;
            BrokenPromise.Unless(next >= live.Position, $"a number that was read, {live.Position - 1}, is not given again, but {next} is");
            Append(writer, fresh, dice.Between(1, 3));
            if (live.Identity == Guid.Empty || live.Identity == identity)
                ReadFresh(live, before, fresh, "a reader that was there before");
            Append(writer, fresh, dice.Below(150));
            using var reader = new LogReader(storage, 0);
            ReadFresh(reader, new Progress(images.IsForged), fresh, "a reader from the oldest on");
            BrokenPromise.Unless(reader.Position == writer.NextSequence, $"at the end a reader is at {reader.Position}, the writer at {writer.NextSequence}");
            using var later = new LogReader(storage, fresh[0]);
            ReadFresh(later, new Progress(images.IsForged), fresh, "a reader from the first fresh record on");
        }
        reports.Clear();
        using (var again = LogWriter.Open(storage, options))
        {
            BrokenPromise.Unless(reports.Count == 0, $"a second recovery finds nothing to mend, but: {string.Join(' ', reports)}");
            Append(again, fresh, 1);
        }
        using var last = new LogReader(storage, 0);
        ReadFresh(last, new Progress(images.IsForged), fresh, "a reader after a second recovery");
        new LogInspection(storage).Dump(TextWriter.Null);
        new LogInspection(storage).Verify(TextWriter.Null);
    }

    private static void Append(LogWriter writer, List<ulong> fresh, int records)
    {
        for (; records > 0; records--)
            fresh.Add(LogBody.Append(writer, LogBody.Fresh, (ulong)fresh.Count));
    }

    private static void ReadFresh(LogReader reader, Progress progress, List<ulong> fresh, string who)
    {
        for (var polls = 0; progress.Last != fresh[^1] && polls < PollsMax; polls++)
            progress.Read(reader, int.MaxValue);
        BrokenPromise.Unless(progress.Fresh.SequenceEqual(fresh), $"{who} finds all {fresh.Count} fresh records ({fresh[0]} to {fresh[^1]}), not only {progress.Fresh.Count} ({progress.Fresh.FirstOrDefault()} to {progress.Fresh.LastOrDefault()}); it is at {reader.Position}");
    }

    private static bool Refuses(Action action)
    {
        try
        {
            action();
            return false;
        }
        catch (LogException e) when (e.Fault == LogFault.OtherVersion)
        {
            return true;
        }
    }

    /// <summary>What one reader has read, and what it may read next.</summary>
    private sealed class Progress(bool provesNothing)
    {
        private char _log;
        private ulong _number;

        public ulong Last { get; private set; }

        public List<ulong> Fresh { get; } = [];

        public void Read(LogReader reader, int most)
        {
            while (most-- > 0 && reader.TryRead(out var record))
            {
                BrokenPromise.Unless(record.Sequence > Last, $"record {record.Sequence} comes behind {Last}");
                BrokenPromise.Unless(reader.Position == record.Sequence + 1, "the position is behind the record");
                Last = record.Sequence;
                var written = LogBody.Read(record);
                if (provesNothing && written is not { Log: LogBody.Fresh })
                    continue;
                BrokenPromise.Unless(written is not null, $"record {record.Sequence} was never written like this");
                var (log, number) = written!.Value;
                if (log == LogBody.Fresh)
                {
                    Fresh.Add(record.Sequence);
                    continue;
                }
                BrokenPromise.Unless(Fresh.Count == 0, "what was there before comes before what is appended");
                BrokenPromise.Unless(_log is '\0' || _log == log, "records of one log only");
                BrokenPromise.Unless(_log is '\0' || number > _number, $"number {number} does not come again behind {_number}");
                (_log, _number) = (log, number);
            }
        }
    }
}
