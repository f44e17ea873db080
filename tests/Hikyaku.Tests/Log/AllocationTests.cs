using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Log;

public sealed class AllocationTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Neither_an_append_nor_a_read_allocates()
    {
        var storage = new FileLogStorage(_directory.In("log"));
        using var writer = LogWriter.Open(storage, new LogOptions());
        using var reader = new LogReader(storage, 0);
        var head = new byte[WriteRecord.HeadBytes];
        var data = new byte[100];
        // The best of several: what opens, announces and is compiled now and then belongs to no line.
        long least = long.MaxValue;
        for (int round = 0; round < 5; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 10_000; i++)
            {
                WriteRecord.WriteHead(head, 1, 2, (ulong)i, 4, 5, 6, 7);
                Assert.True(writer.TryAppend(RecordKind.Write, head, data, out _));
            }
            int read = 0;
            while (reader.TryRead(out var record))
                if (WriteRecord.TryParse(record.Body, out _)) read++;
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.Equal(10_000, read);
        }
        Assert.Equal(0, least);
    }
}
