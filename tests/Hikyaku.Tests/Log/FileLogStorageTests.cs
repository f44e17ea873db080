using System.Runtime.Versioning;
using Hikyaku.Log;
using Xunit;
using static Hikyaku.Tests.Log.LogTestKit;

namespace Hikyaku.Tests.Log;

[SupportedOSPlatform("linux")]
public sealed class FileLogStorageTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string LogDirectory => _directory.In("log");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Directory_and_files_are_for_their_owner_alone()
    {
        using var writer = LogWriter.Open(new FileLogStorage(LogDirectory), Small);
        writer.AppendMany(0, 200);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(LogDirectory));
        foreach (string path in Directory.GetFiles(LogDirectory)) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }

    [Fact]
    public void A_second_writer_is_refused_by_name_until_the_first_is_gone()
    {
        var first = LogWriter.Open(new FileLogStorage(LogDirectory), Small);
        var refusal = Assert.Throws<LogException>(() => LogWriter.Open(new FileLogStorage(LogDirectory), Small));
        Assert.Equal(LogFault.InUse, refusal.Fault);
        Assert.Contains(LogDirectory, refusal.Message, StringComparison.Ordinal);
        first.Dispose();
        LogWriter.Open(new FileLogStorage(LogDirectory), Small).Dispose();
    }

    [Fact]
    public void A_log_that_ends_before_what_every_reader_had_passed_goes_on_behind_it()
    {
        using (var writer = LogWriter.Open(new FileLogStorage(LogDirectory), Small)) writer.AppendMany(0, 20);
        // The power was lost: the mark had reached the disk, and the records between had not.
        PassedMark.Write(LogDirectory, 100);
        using var next = LogWriter.Open(new FileLogStorage(LogDirectory), Small);
        next.AppendMany(20, 21);
        Assert.True(next.NextSequence > 100, $"record {next.NextSequence - 1} would be passed over");
    }

    [Fact]
    public void A_missing_log_reads_as_empty_and_is_not_made_by_reading()
    {
        Assert.Empty(ReadAll(new FileLogStorage(LogDirectory)));
        Assert.False(new LogInspection(new FileLogStorage(LogDirectory)).Verify(TextWriter.Null));
        Assert.False(Directory.Exists(LogDirectory));
    }

    [Fact]
    public void A_missing_parent_is_named()
    {
        var failure = Assert.Throws<LogException>(() => LogWriter.Open(new FileLogStorage(_directory.In("no/log")), Small));
        Assert.Contains("no/log", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void More_than_the_disk_has_is_a_full_disk_and_leaves_no_file()
    {
        var storage = new FileLogStorage(LogDirectory);
        storage.Lock().Dispose();
        long free = new DriveInfo(LogDirectory).TotalSize;
        Assert.Equal(LogFault.DiskFull, Assert.Throws<LogException>(() => storage.Create("huge", free + (1 << 20))).Fault);
        Assert.Empty(storage.List());
    }

    [Fact]
    public void A_sparse_segment_is_allocated_before_it_is_written()
    {
        using (var writer = LogWriter.Open(new FileLogStorage(LogDirectory), Small)) writer.AppendMany(0, 10);
        string path = Directory.GetFiles(LogDirectory, "*.open").Single();
        var bytes = File.ReadAllBytes(path).AsSpan(0, 20_000).ToArray();
        File.Delete(path);
        using (var sparse = File.Create(path))
        {
            sparse.Write(bytes);
            sparse.SetLength(64 << 10);
        }
        using (var writer = LogWriter.Open(new FileLogStorage(LogDirectory), Small)) writer.AppendMany(10, 20);
        Assert.Equal(Numbers(0, 20), ReadAll(new FileLogStorage(LogDirectory)));
    }

    [Fact]
    public void An_empty_segment_file_is_set_aside()
    {
        Directory.CreateDirectory(LogDirectory);
        File.WriteAllBytes(Path.Combine(LogDirectory, "00000000000000000001.open"), []);
        using var writer = LogWriter.Open(new FileLogStorage(LogDirectory), Small);
        writer.Append("a");
        Assert.Equal(["a"], ReadAll(new FileLogStorage(LogDirectory)));
    }

    [Fact]
    public void Nothing_stays_open_or_mapped()
    {
        for (int round = 0; round < 2; round++)
        {
            using var writer = LogWriter.Open(new FileLogStorage(LogDirectory), Small);
            writer.AppendMany(0, 500);
            writer.Commit();
            ReadAll(new FileLogStorage(LogDirectory));
            Assert.Single(File.ReadLines("/proc/self/maps"), l => l.Contains(LogDirectory, StringComparison.Ordinal));
        }
        Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), l => l.Contains(LogDirectory, StringComparison.Ordinal));
        Assert.DoesNotContain(Directory.GetFiles("/proc/self/fd"), f => new FileInfo(f).LinkTarget?.StartsWith(LogDirectory, StringComparison.Ordinal) == true);
    }
}
