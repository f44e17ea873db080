using System.Buffers.Binary;
using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Log;

/// <summary>The log against a plain list, in lockstep, under seeded random actions.</summary>
public sealed class ModelTests : IDisposable
{
    private readonly TemporaryDirectory _cursors = new();

    public void Dispose() => _cursors.Dispose();

    [Fact]
    public void The_log_agrees_with_a_plain_list()
    {
        int seed = Environment.TickCount;
        for (int round = 0; round < 30; round++) Run(seed + round);
    }

    private void Run(int seed)
    {
        var dice = new Random(seed);
        using var storage = new SimulatedStorage();
        var model = new SortedDictionary<ulong, byte[]>();
        var reports = new List<string>();
        // Retiring, killing and reading must never lose a record, so the readers' cursors are the only leave to delete.
        string[] names = ["a", "b"];
        foreach (string name in names) File.Delete(_cursors.In($"{name}.cursor"));
        var options = new LogOptions { SegmentBytes = 64 << 10, CursorDirectory = _cursors.Path, Cursors = names, Report = reports.Add };
        var writer = LogWriter.Open(storage, options);
        var readers = names.Select(_ => new LogReader(storage, 1)).ToArray();
        var expected = new ulong[names.Length];
        var identity = writer.Identity;
        try
        {
            for (int step = 0; step < 300; step++)
            {
                int which = dice.Next(names.Length);
                switch (dice.Next(14))
                {
                    case < 6:
                        for (int count = dice.Next(20); count >= 0; count--) Append(writer, model, dice);
                        break;
                    case < 9:
                        Read(readers[which], model, ref expected[which], dice.Next(60));
                        break;
                    case 9:
                        Cursor.Write(_cursors.In($"{names[which]}.cursor"), readers[which].Position);
                        writer.Retire();
                        break;
                    case 10:
                        readers[which].Dispose();
                        readers[which] = new LogReader(storage, readers[which].Position);
                        break;
                    case 11:
                        writer.Prepare();
                        break;
                    case 12:
                        writer.Commit();
                        Assert.Equal(writer.NextSequence, writer.CommittedSequence);
                        break;
                    default:
                        if (dice.Next(2) == 0) writer.Dispose();
                        else
                        {
                            storage.Kill();
                            TearAppend(storage, dice);
                        }
                        ulong next = writer.NextSequence;
                        writer = LogWriter.Open(storage, options);
                        Assert.Equal((next, identity), (writer.NextSequence, writer.Identity));
                        break;
                }
            }
            for (int i = 0; i < names.Length; i++)
            {
                Read(readers[i], model, ref expected[i], int.MaxValue);
                Assert.Equal(model.Count == 0 ? 0 : model.Keys.Last(), expected[i]);
                Assert.Equal(writer.NextSequence, readers[i].Position);
                Assert.Equal((0, 0), (readers[i].Missed, readers[i].DamagedRegions));
                Cursor.Write(_cursors.In($"{names[i]}.cursor"), readers[i].Position);
            }
            Assert.False(new LogInspection(storage).Verify(TextWriter.Null));
            Assert.Empty(reports);
            writer.Retire();
            Assert.Equal(writer.SegmentStart, writer.FirstSequence);
            Assert.Equal(storage.Names.Sum(n => storage[n].Length), writer.Bytes);
        }
        catch (Exception e) when (e is not InvalidOperationException)
        {
            throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
        }
        finally
        {
            writer.Dispose();
            foreach (var reader in readers) reader.Dispose();
        }
    }

    private static void Append(LogWriter writer, SortedDictionary<ulong, byte[]> model, Random dice)
    {
        int length = dice.Next(40) == 0 ? dice.Next(200_000) : dice.Next(1, 3000);
        var body = new byte[length + 1];
        dice.NextBytes(body);
        int cut = dice.Next(body.Length + 1);
        Assert.True(writer.TryAppend(RecordKind.Write, body.AsSpan(0, cut), body.AsSpan(cut), out ulong sequence));
        Assert.Equal(writer.NextSequence - 1, sequence);
        model.Add(sequence, body);
    }

    private static void Read(LogReader reader, SortedDictionary<ulong, byte[]> model, ref ulong last, int most)
    {
        ulong from = last;
        using var wanted = model.SkipWhile(m => m.Key <= from).GetEnumerator();
        while (most-- > 0 && reader.TryRead(out var record))
        {
            Assert.True(wanted.MoveNext());
            Assert.Equal(wanted.Current.Key, record.Sequence);
            Assert.True(record.Body.SequenceEqual(wanted.Current.Value));
            last = record.Sequence;
        }
        if (most >= 0) Assert.False(wanted.MoveNext());
    }

    // What an append leaves that a kill cut off: everything but the first eight bytes.
    private static void TearAppend(SimulatedStorage storage, Random dice)
    {
        string name = storage.Names.Last(n => n.EndsWith(".open", StringComparison.Ordinal));
        var (sequence, offset) = LogTestKit.Offsets(storage, name).DefaultIfEmpty().MaxBy(o => o.Key);
        int tail = sequence == 0 ? 64 : offset + (BinaryPrimitives.ReadInt32LittleEndian(storage[name][offset..]) + 24 + 7 & ~7);
        var rest = storage[name][tail..];
        if (rest.Length > 100) dice.NextBytes(rest.Slice(8, dice.Next(rest.Length - 8)));
    }
}
