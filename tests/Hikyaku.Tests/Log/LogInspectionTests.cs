using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

public sealed class LogInspectionTests
{
    [Fact]
    public void A_dump_shows_each_record_on_a_line_and_no_byte_of_it_can_steer_a_terminal()
    {
        using var storage = new SimulatedStorage();
        using (var writer = LogWriter.Open(storage, Small))
        {
            var head = new byte[100];
            writer.TryAppend(RecordKind.Source, head.AsSpan(0, SourceRecord.WriteHead(head, 0, 5)), "a.log"u8, out ulong id);
            writer.TryAppend(RecordKind.Write, head.AsSpan(0, WriteRecord.WriteHead(head, id, 2, 0, 1_500_000_000, 5, 6, 7)), "hello \e[1m\n"u8, out _);
            writer.TryAppend(RecordKind.Close, head.AsSpan(0, CloseRecord.WriteHead(head, id, 2, 0)), default, out _);
            writer.TryAppend((RecordKind)99, "of tomorrow"u8, default, out _);
        }
        var output = new StringWriter();
        new LogInspection(storage).Dump(output);
        Assert.Equal(
            """
            1 Source a.log - 15
            2 Write a.log 1970-01-01T00:00:01.5000000Z 11 hello \x1b[1m\n
            3 Close a.log - 24
            4 Kind99 - - 11

            """,
            output.ToString());
    }

    [Fact]
    public void Verify_states_each_segment_and_each_damaged_place()
    {
        using var storage = new SimulatedStorage();
        using (var writer = LogWriter.Open(storage, Small)) writer.AppendMany(0, 100);
        Assert.False(new LogInspection(storage).Verify(TextWriter.Null));
        string name = storage.Names.First();
        int at = Offsets(storage, name)[4];
        storage[name][at + 50] ^= 1;
        var output = new StringWriter();
        Assert.True(new LogInspection(storage).Verify(output));
        Assert.Contains($"{name}: damaged from byte {at} to {at + 1048}, records 4 to 4 lost", output.ToString(), StringComparison.Ordinal);
    }
}
