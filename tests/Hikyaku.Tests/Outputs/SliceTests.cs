using System.Globalization;
using Xunit;

namespace Hikyaku.Tests.Outputs;

public sealed class SliceTests
{
    private const long SecondNs = 1_000_000_000;

    // 2026-03-10 12:59:50 UTC.
    private const long Start = 1_773_147_590 * SecondNs;

    [Fact]
    public async Task Lines_go_to_the_file_of_their_own_time_however_they_come()
    {
        await using var street = new OutputStreet();
        street.Log.Time = Start;
        street.Log.Write("a%Y.log", 1, "one\ntwo\n");
        street.Log.Write("b.log", 2, "half of ");
        street.Log.Time = Start + (10 * SecondNs);
        street.Log.Write("a%Y.log", 1, "three\n");
        street.Log.Write("b.log", 2, "four\n");
        // A clock that is set back.
        street.Log.Time = Start + SecondNs;
        street.Log.Write("a%Y.log", 1, "five\n");
        street.Run("  - to: { file: { path: \"ROOT/%Y-%m/100%%/{path}.%d-%H\" } }");
        await street.Expect(Slice("a%Y.log", Start), "one\ntwo\nfive\n");
        await street.Expect(Slice("a%Y.log", Start + (10 * SecondNs)), "three\n");
        await street.Expect(Slice("b.log", Start + (10 * SecondNs)), "half of four\n");
        street.Log.Time = Start + (3700 * SecondNs);
        street.Log.Write("b.log", 2, "six\n");
        await street.Expect(Slice("b.log", Start + (3700 * SecondNs)), "six\n");
        Assert.Equal(4, Directory.GetFiles(street.Root, "*.log.*", SearchOption.AllDirectories).Length);
    }

    [Fact]
    public async Task Restarts_within_chunks_that_span_slices_lose_and_repeat_nothing()
    {
        await using var street = new OutputStreet();
        const int lines = 20_000;
        street.Log.Time = Start;
        var writing = Task.Run(() =>
        {
            for (var i = 0; i < lines; i++)
            {
                street.Log.Time += SecondNs / 10;
                street.Log.Write("x", 1, string.Create(CultureInfo.InvariantCulture, $"{i:D6}\n"));
                if (i % 50 == 0)
                    Thread.Yield();
            }
        });
        var folder = Path.Join(street.Root, "out");
        while (!writing.IsCompleted)
        {
            await using var agent = street.Run("  - to: { file: { path: \"ROOT/out/%Y%m%d-%H%M\" } }");
            var before = Length();
            await street.Until(() => Length() > before || writing.IsCompleted);
        }

        await writing;
        street.Run("  - to: { file: { path: \"ROOT/out/%Y%m%d-%H%M\" } }");
        await street.Until(() => Length() >= lines * 7);
        var arrived = Directory.GetFiles(folder).Order(StringComparer.Ordinal).SelectMany(File.ReadAllLines);
        Assert.Equal(Enumerable.Range(0, lines).Select(static i => i.ToString("D6", CultureInfo.InvariantCulture)), arrived);

        long Length() => Directory.Exists(folder) ? Directory.GetFiles(folder).Sum(static f => new FileInfo(f).Length) : 0;
    }

    private static string Slice(string path, long time) =>
        TimeZoneInfo.ConvertTime(DateTimeOffset.UnixEpoch.AddTicks(time / 100), TimeZoneInfo.Local).ToString($"yyyy-MM'/100%/{path}.'dd-HH", CultureInfo.InvariantCulture);
}
