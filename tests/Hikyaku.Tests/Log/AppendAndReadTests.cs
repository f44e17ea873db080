using System.Text;
using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Log;

public sealed class AppendAndReadTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Fact]
    public void What_is_appended_is_read_in_order_with_its_sequence()
    {
        var storage = new FileLogStorage(_directory.In("log"));
        using var writer = LogWriter.Open(storage, new LogOptions { SegmentBytes = 64 << 10 });
        using var reader = new LogReader(storage, 0);
        Assert.False(reader.TryRead(out _));
        for (int i = 0; i < 5000; i++) Assert.True(writer.TryAppend(RecordKind.Write, Encoding.UTF8.GetBytes($"head {i} "), Encoding.UTF8.GetBytes($"data {i}"), out _));
        int read = 0;
        ulong last = 0;
        while (reader.TryRead(out var record))
        {
            Assert.Equal($"head {read} data {read++}", Encoding.UTF8.GetString(record.Body));
            Assert.True(record.Sequence > last);
            last = record.Sequence;
        }
        Assert.Equal(5000, read);
        Assert.Equal(writer.NextSequence, reader.Position);
        Assert.Equal(writer.Identity, reader.Identity);
        Assert.Equal(0, reader.Missed + reader.DamagedRegions);
        writer.Commit();
        Assert.Equal(writer.NextSequence, writer.CommittedSequence);
    }

    public void Dispose() => _directory.Dispose();
}
