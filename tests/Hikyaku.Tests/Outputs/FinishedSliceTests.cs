using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Transfer;
using Hikyaku.Transfer.Outputs;
using Xunit;

namespace Hikyaku.Tests.Outputs;

public sealed partial class FinishedSliceTests
{
    private const string Old = "2023-11-14";

    [Fact]
    public async Task A_finished_slice_is_compressed_and_what_comes_late_is_added_to_it()
    {
        await using var street = new OutputStreet();
        var agent = street.Run("  - to: { file: { path: \"ROOT/out/%F/{path}\", compress: gzip } }", Hasty);
        var now = TimeProvider.System.GetUtcNow();
        var (old, today) = (street.Log.Time, (now - DateTimeOffset.UnixEpoch).Ticks * 100);
        for (var i = 1; i <= 3; i++)
        {
            street.Log.Time = old + i;
            street.Log.Write("x", 1, $"late {i}\n");
            street.Log.Time = today;
            street.Log.Write("x", 1, $"new {i}\n");
            await street.Until(() => Unzipped(street, "x").Split('\n').Length == i + 1 && !File.Exists(Path.Join(street.Root, "out", Old, "x")));
        }

        Assert.Equal("late 1\nlate 2\nlate 3\n", Unzipped(street, "x"));
        var folders = Directory.GetDirectories(Path.Join(street.Root, "out")).Select(Path.GetFileName).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(Old, folders[0]);
        Assert.Equal("new 1\nnew 2\nnew 3\n", street.Read($"out/{folders[1]}/x"));
        await street.Until(() => Directory.GetFiles(Path.Join(street.Root, "out", Old)).Length == 1);
        await street.Until(() => agent.Process.Status().Pumps.Single().Receivers.Single().Compressed == 3);
        Assert.Empty(street.Reports);
    }

    // Killed while it was compressed; before it was renamed; before the plain one was removed; the same, and then a line came.
    [Theory]
    [InlineData(false, true, false, false)]
    [InlineData(false, true, true, false)]
    [InlineData(true, false, true, false)]
    [InlineData(true, false, true, true)]
    public async Task Whenever_a_compression_was_killed_each_line_is_there_once(bool hasTarget, bool hasWork, bool hasSecond, bool isLate)
    {
        await using var street = new OutputStreet();
        var folder = Directory.CreateDirectory(Path.Join(street.Root, "out", Old)).FullName;
        string plain = Path.Join(folder, "x"), second = Path.Join(folder, ".hikyaku-second-x"), work = Path.Join(folder, ".hikyaku-work-x");
        File.WriteAllText(plain, "one\n");
        var zipped = Zipped("one\n");
        if (hasTarget)
            File.WriteAllBytes(plain + ".gz", zipped);
        if (hasWork)
            File.WriteAllBytes(work, hasSecond ? zipped : zipped[..5]);
        if (hasSecond)
            Assert.Equal(0, Link(plain, second));
        if (isLate)
        {
            File.Delete(plain);
            File.WriteAllText(plain, "one\n");
        }

        street.Run("  - to: { file: { path: \"ROOT/out/%F/{path}\", compress: gzip } }", Hasty);
        await street.Until(() => Directory.GetFiles(folder) is [var only] && only == plain + ".gz");
        Assert.Equal(isLate ? "one\none\n" : "one\n", Unzipped(street, "x"));
    }

    [Fact]
    public async Task Finished_slices_that_are_too_old_or_too_large_together_are_removed_and_nothing_else()
    {
        await using var street = new OutputStreet();
        var today = TimeZoneInfo.ConvertTime(TimeProvider.System.GetUtcNow(), TimeZoneInfo.Local);
        string Day(int ago) => today.AddDays(-ago).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var folder = Directory.CreateDirectory(Path.Join(street.Root, "out")).FullName;
        var outside = Directory.CreateDirectory(Path.Join(street.Root, "outside")).FullName;
        string[] foreign = ["a.log", "a-2001-13-01.log", "a-2001-01-01.log.1", "a-2001-01-01.txt", "2001-01-01.log"];
        foreach (var name in foreign)
            File.WriteAllText(Path.Join(folder, name), "x");
        Directory.CreateSymbolicLink(Path.Join(folder, "b-2001-01-02.log"), outside);
        File.WriteAllText(Path.Join(outside, "f"), "x");
        File.CreateSymbolicLink(Path.Join(folder, "a-2001-01-02.log"), Path.Join(outside, "f"));
        var data = new string('x', 1000);
        File.WriteAllText(Path.Join(folder, "a-2001-01-01.log"), data);
        File.WriteAllText(Path.Join(folder, "a-2001-01-01.log.gz"), data);
        foreach (var ago in (int[])[0, 2, 3, 4, 5])
            File.WriteAllText(Path.Join(folder, $"a-{Day(ago)}.log"), data);
        var agent = street.Run("  - to: { file: { path: \"ROOT/out/{host}-%F.log\", retain: { age: 30d, size: 3000B } } }", Hasty);
        string[] left = [.. foreign, "b-2001-01-02.log", "a-2001-01-02.log", $"a-{Day(0)}.log", $"a-{Day(2)}.log", $"a-{Day(3)}.log"];
        await street.Until(() => Directory.GetFileSystemEntries(folder).Length == left.Length, () => string.Join(' ', Directory.GetFileSystemEntries(folder)));
        Assert.Equal(left.Order(StringComparer.Ordinal), Directory.GetFileSystemEntries(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal("x", street.Read("outside/f"));
        await street.Until(() => agent.Process.Status().Pumps is [{ Receivers: [{ Removed: 4 }] }]);
        Assert.Equal(2, street.Reports.Count(static r => r.EndsWith("removed, older than retain.age", StringComparison.Ordinal)));
        Assert.Equal(2, street.Reports.Count(static r => r.EndsWith("removed, all slices together being larger than retain.size", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("/x/%Y/%m/%d/%H.log", null)]
    [InlineData("/x/%F-%H%M", null)]
    [InlineData("/x/%Y%j", null)]
    [InlineData("/x/100%%-%Y", null)]
    [InlineData("/x/100%%", "directives of time")]
    [InlineData("/x/%H.log", "from the year")]
    [InlineData("/x/%Y-%d", "from the year")]
    [InlineData("/x/%Y-%m-%H", "from the year")]
    [InlineData("/x/%Y-%b", "not %b")]
    public void Only_names_that_do_not_come_again_can_be_told_from_each_other(string path, string? problem)
    {
        if (problem is null)
            Assert.Null(SlicePattern.Problem(path));
        else
            Assert.Contains(problem, SlicePattern.Problem(path), StringComparison.Ordinal);
    }

    [Fact]
    public void A_slice_is_as_long_as_the_clock_says()
    {
        var root = Directory.CreateTempSubdirectory("hikyaku-slices-").FullName;
        try
        {
            // The hour that came twice: summer time ended at 03:00 in Berlin.
            foreach (var name in (string[])["2025-10-26-02", "2025-10-26-03", "2025-12-31-23", "2025-02-29-00"])
                File.WriteAllText(Path.Join(root, name), "");
            var found = new SlicePattern(root + "/%F-%H", TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin")).Find(static _ => { }).OrderBy(static s => s.Path, StringComparer.Ordinal);
            Assert.Equal([TimeSpan.FromHours(2), TimeSpan.FromHours(1), TimeSpan.FromHours(1)], found.Select(static s => s.End - s.Start));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static TransferSettings Hasty(TransferSettings settings) => settings with
    {
        Routes = [.. settings.Routes.Select(static r => r with
        {
            File = r.File! with { Slices = r.File.Slices! with { Grace = TimeSpan.FromMilliseconds(500), Interval = TimeSpan.FromMilliseconds(20) } },
        })],
    };

    private static byte[] Zipped(string text)
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(Encoding.UTF8.GetBytes(text));
        return bytes.ToArray();
    }

    private static string Unzipped(OutputStreet street, string name)
    {
        var path = Path.Join(street.Root, "out", Old, name + ".gz");
        if (!File.Exists(path))
            return "";
        using var gzip = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        using var reader = new StreamReader(gzip);
        return reader.ReadToEnd();
    }

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string from, string to);
}
