using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;
using static Hikyaku.Tests.Mount.KernelEnd;
using Libc = Hikyaku.Mount.Libc;

namespace Hikyaku.Tests.Mount;

/// <summary>What is written to the files underneath while nothing is mounted. To restart means that the process was killed.</summary>
public sealed unsafe partial class UnmountedTests
{
    private const uint ToAppend = 0x401;

    private readonly List<string> _reports = [];

    [Fact]
    public void What_files_grow_by_between_two_mounts_is_carried_once_and_what_stood_there_at_the_first_is_not()
    {
        using var kernel = Kernel();
        kernel.Stop();
        Directory.CreateDirectory(PathOf(kernel, "d/e"));
        kernel.Remount();
        Settled(kernel);
        kernel.Remount(() =>
        {
            Append(kernel, "a.log", "one\n");
            Append(kernel, "d/e/b.log", "two\n");
        });
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log", "three\n"));
        Settled(kernel);
        kernel.Remount();
        Settled(kernel);
        Assert.Equal(["a.log 0..4 one\n", "a.log 4..10 three\n", "d/e/b.log 0..4 two\n"], Carried(kernel).Order(StringComparer.Ordinal));
        Assert.Contains("2 files grew by 8 bytes while nothing was mounted; that is carried", _reports);
    }

    [Fact]
    public void What_stood_there_before_the_first_mount_is_not_carried_and_what_it_grows_by_later_is()
    {
        using var kernel = Kernel(carries: false);
        kernel.Remount(() =>
        {
            Append(kernel, "a.log", "old\n");
            Carry(kernel);
        });
        Settled(kernel);
        Assert.Empty(Carried(kernel));
        kernel.Remount(() => Append(kernel, "a.log", "new\n"));
        Settled(kernel);
        Assert.Equal(["a.log 4..8 new\n"], Carried(kernel));
    }

    [Fact]
    public void When_that_is_switched_off_nothing_is_carried_and_nothing_is_made_up_for()
    {
        using var kernel = Kernel();
        Settled(kernel);
        kernel.Remount(() =>
        {
            Append(kernel, "a.log", "one\n");
            kernel.Configure = Configure(carries: false);
        });
        kernel.Remount(() => Carry(kernel));
        Settled(kernel);
        Assert.Empty(Carried(kernel));
    }

    [Fact]
    public void What_is_written_through_a_mount_is_not_carried_again()
    {
        using var kernel = Kernel();
        var (_, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "one\n");
        var (_, open) = kernel.Create("b.log", 6);
        kernel.Write(open, 8, "two\n");
        Assert.Equal(0, kernel.Ask(Opcode.Release, 10, 2, Bytes(new ReleaseIn { Handle = handle })).Error);
        kernel.Restart();
        Settled(kernel);
        kernel.Remount();
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "b.log", "three\n"));
        Settled(kernel);
        Assert.Equal(["b.log 4..10 three\n"], Carried(kernel));
    }

    [Fact]
    public void Growth_of_a_file_that_was_renamed_belongs_to_the_path_it_had_and_its_successor_is_new()
    {
        using var kernel = Kernel();
        var (_, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "one\n");
        Settled(kernel);
        kernel.Remount(() =>
        {
            Append(kernel, "a.log", "two\n");
            File.Move(PathOf(kernel, "a.log"), PathOf(kernel, "a.log.1"));
            Append(kernel, "a.log.1", "three\n");
            Append(kernel, "a.log", "four\n");
        });
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log.1", "five\n"));
        Settled(kernel);
        Assert.Equal(["a.log 0..5 four\n", "a.log 4..14 two\nthree\n", "a.log.1 14..19 five\n"], Carried(kernel).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("two\n")]
    [InlineData("another line that is longer\n")]
    public void A_file_that_was_emptied_and_written_anew_is_carried_whole(string text)
    {
        using var kernel = Kernel();
        var (_, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "a line of before\n");
        Settled(kernel);
        kernel.Remount(() => File.WriteAllText(PathOf(kernel, "a.log"), text));
        Settled(kernel);
        Assert.Equal([$"a.log 0..{text.Length} {text}"], Carried(kernel));
    }

    [Fact]
    public void Compressed_files_and_what_is_no_file_are_not_carried()
    {
        using var kernel = Kernel();
        Settled(kernel);
        kernel.Remount(() =>
        {
            using (var file = File.Create(PathOf(kernel, "a.log.1.gz")))
            using (var gzip = new System.IO.Compression.GZipStream(file, System.IO.Compression.CompressionMode.Compress))
                gzip.Write("lines\n"u8);
            File.CreateSymbolicLink(PathOf(kernel, "link.log"), "/etc/hostname");
            Directory.CreateSymbolicLink(PathOf(kernel, "etc"), "/etc");
            Assert.Equal(0, mkfifo(PathOf(kernel, "fifo.log"), 0x180));
            File.WriteAllText(PathOf(kernel, "empty.log"), "");
            Append(kernel, "a.log", "one\n");
        });
        Settled(kernel);
        Assert.Equal(["a.log 0..4 one\n"], Carried(kernel));
        Assert.Contains("1 compressed files appeared while nothing was mounted; they are not carried as lines", _reports);
        Assert.Equal(0, kernel.Counters.UnmountedFaults);
    }

    [Fact]
    public void A_file_is_carried_with_its_owner_and_its_time_and_no_process()
    {
        using var kernel = Kernel();
        Settled(kernel);
        var time = new DateTime(2020, 1, 2, 3, 4, 5, DateTimeKind.Utc);
        kernel.Remount(() =>
        {
            Append(kernel, "a.log", "one\n");
            File.SetLastWriteTimeUtc(PathOf(kernel, "a.log"), time);
        });
        Settled(kernel);
        using var reader = new LogReader(kernel.Storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind != RecordKind.Extent || !ExtentRecord.TryParse(record.Body, out var extent))
                continue;
            Assert.Equal((time - DateTime.UnixEpoch).Ticks * 100, extent.Time);
            Assert.Equal((geteuid(), 0u), (extent.Uid, extent.Pid));
            return;
        }
        Assert.Fail("no extent");
    }

    [Fact]
    public void It_comes_before_what_is_written_through_the_mount_however_soon()
    {
        using var kernel = Kernel();
        Settled(kernel);
        const int files = 2000;
        kernel.Remount(() =>
        {
            for (var i = 0; i < files; i++)
                Append(kernel, $"{i}.log", $"unmounted {i}\n");
        });
        ulong unique = 2;
        for (var i = files - 1; i >= 0; i -= 50)
        {
            var open = MemoryMarshal.Read<OpenOut>(kernel.Ask(Opcode.Open, unique += 2, Lookup(kernel, $"{i}.log", unique += 2), Bytes(new OpenIn { Flags = ToAppend })).Payload);
            Assert.Equal(5, kernel.Write(open.Handle, unique += 2, "live\n") + 5);
        }
        Settled(kernel);
        var seen = new HashSet<string>();
        foreach (var line in Carried(kernel, withWrites: true))
        {
            var path = line.Split(' ')[0];
            Assert.Equal(line.EndsWith("live\n", StringComparison.Ordinal), !seen.Add(path));
        }
        Assert.Equal(files, seen.Count);
    }

    [Fact]
    public void Files_that_are_removed_renamed_or_cut_before_anybody_looked_at_them_are_carried_all_the_same()
    {
        using var kernel = Kernel();
        Settled(kernel);
        const int files = 3000;
        kernel.Remount(() =>
        {
            for (var i = 0; i < files; i++)
                Append(kernel, $"{i}.log", "unmounted\n");
        });
        ulong unique = 2;
        for (var i = 10; i < files; i += 100)
        {
            Assert.Equal(0, kernel.Ask(Opcode.Unlink, unique += 2, 1, Name($"{i}.log")).Error);
            Assert.Equal(0, kernel.Ask(Opcode.Rename, unique += 2, 1, Bytes(1ul), Name($"{i + 1}.log"), Name($"{i + 2}.log")).Error);
            Assert.Equal(0, kernel.Ask(Opcode.SetAttr, unique += 2, Lookup(kernel, $"{i + 3}.log", unique += 2), Bytes(new SetAttrIn { Valid = SetAttrValid.Size })).Error);
        }
        Settled(kernel);
        var carried = Carried(kernel);
        Assert.Equal(files, carried.Select(static line => line.Split(' ')[0]).Distinct().Count());
        Assert.Equal(files, carried.Count);
        Assert.All(carried, static line => Assert.EndsWith(" unmounted\n", line, StringComparison.Ordinal));
    }

    [Fact]
    public void Kills_while_it_is_carried_lose_nothing_and_repeat_nothing()
    {
        using var kernel = Kernel();
        Settled(kernel);
        const int files = 3000;
        kernel.Remount(() =>
        {
            for (var i = 0; i < files; i++)
                Append(kernel, $"{i}.log", "unmounted\n");
        });
        for (var kills = 0; kills < 5; kills++)
            kernel.Restart();
        // The mount ends before all is looked at, and another begins.
        kernel.Remount(() => Append(kernel, "0.log", "more\n"));
        Settled(kernel);
        var carried = Carried(kernel);
        Assert.Equal(files, carried.Select(static line => line.Split(' ')[0]).Distinct().Count());
        Assert.Equal((files * 10) + 5, carried.Sum(static line => line.Length - line.IndexOf(' ', line.IndexOf(' ') + 1) - 1));
    }

    [Theory]
    [InlineData("extent")]
    [InlineData("accounted")]
    [InlineData("closed")]
    public void A_kill_between_two_steps_of_carrying_repeats_nothing(string step)
    {
        using var kernel = Kernel();
        Settled(kernel);
        var account = Path.Combine(Path.GetDirectoryName(kernel.StatePath)!, "account");
        kernel.Stop();
        var before = Start(account);
        kernel.Remount(() => Append(kernel, "a.log", "one\n"));
        Settled(kernel);
        kernel.Restart(() =>
        {
            // As if the scan had not come to its end.
            var after = Start(account);
            after[12] = 0;
            if (step != "accounted")
                BitConverter.TryWriteBytes(after.AsSpan(40), 4096L);
            Write(account + ".new", after);
            Write(account, before);
            using var state = MountState.TryOpen(kernel.StatePath)!;
            state.Header->Answered = 0;
            if (step == "extent")
                (state.Backing(0)->Session, state.Backing(0)->Extended, state.Backing(0)->End) = (SessionOf(kernel), 0, 0);
            else if (step == "accounted")
                state.Backing(0)->Session = SessionOf(kernel);
        });
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log", "two\n"));
        Settled(kernel);
        Assert.Equal(["a.log 0..4 one\n", "a.log 4..8 two\n"], Carried(kernel));
    }

    [Theory]
    [InlineData(0, 0, -1, "gap\n", "gap\none\ntwo\n", "0..4 gap\n")]
    [InlineData(4, 4, -1, "one\ngap\n", "one\ngap\ntwo\n", "4..8 gap\n")]
    [InlineData(4, 4, 8, "one\ntwgap\n", "one\ntwgap\no\n", "6..10 gap\n")]
    [InlineData(4, 4, 8, "one\ntwo\ngap\n", "one\ntwo\ngap\n", "8..12 gap\n")]
    [InlineData(4, 4, 8, "one\n", "one\ntwo\n", null)]
    [InlineData(4, 8, -1, "one\ntwo\ngap\n", "one\ntwo\ngap\n", "8..12 gap\n")]
    public void What_was_accepted_and_did_not_stand_there_yet_overwrites_nothing_and_is_not_carried_twice(
        int kept, int length, int next, string left, string expected, string? carried)
    {
        using var kernel = Kernel();
        var (_, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "one\n");
        kernel.Write(handle, 6, "two\n");
        Settled(kernel);
        kernel.Remount(() =>
        {
            // As everything being killed may leave it; and then somebody appends.
            File.WriteAllText(PathOf(kernel, "a.log"), left);
            using (var state = MountState.TryOpen(kernel.StatePath)!)
                state.Header->Kept = SequenceOf(kernel, kept == 0 ? "one\n" : "two\n");
            using var there = File.OpenHandle(PathOf(kernel, "a.log"));
            Assert.Equal(0, Underneath.Stat((int)there.DangerousGetHandle(), out var file));
            using var account = Account.OpenLast(Path.GetDirectoryName(kernel.StatePath)!, NodeTable.Device(file), static _ => { })!;
            var entry = account.Find(file);
            // The directory's own device may have another number after a boot.
            Assert.Equal(0UL, entry->Device);
            (entry->Length, entry->Next, entry->MarkBytes) = (length, next, 0);
        });
        Settled(kernel);
        Assert.Equal(expected, File.ReadAllText(PathOf(kernel, "a.log")));
        Assert.Equal(carried is null ? [] : ["a.log " + carried], Carried(kernel));
        kernel.Remount();
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log", "end\n"));
        Settled(kernel);
        Assert.Equal($"a.log {expected.Length}..{expected.Length + 4} end\n", Carried(kernel)[^1]);
        Assert.Equal(carried is null ? 1 : 2, Carried(kernel).Count);
    }

    [Fact]
    public void Writers_past_and_through_a_mount_at_once_lose_nothing_and_nothing_is_carried_twice()
    {
        using var kernel = Kernel();
        var (_, handle) = kernel.Create("a.log", 2);
        Settled(kernel);
        // A mount that was taken out of the tree goes on as long as somebody has a file open in it.
        for (ulong i = 0; i < 20; i++)
        {
            kernel.Write(handle, 4 + (2 * i), $"through {i}\n");
            SpinWait.SpinUntil(() => File.ReadAllText(PathOf(kernel, "a.log")).Contains($"through {i}\n", StringComparison.Ordinal), TimeSpan.FromSeconds(10));
            Append(kernel, "a.log", $"past {i}\n");
        }
        kernel.Remount();
        Settled(kernel);
        var content = File.ReadAllLines(PathOf(kernel, "a.log"));
        Assert.Equal(40, content.Length);
        Assert.Equal(40, content.Distinct().Count());
        var carried = string.Concat(Carried(kernel).Select(static line => line[(line.IndexOf(' ', line.IndexOf(' ') + 1) + 1)..]));
        Assert.Equal(string.Concat(Enumerable.Range(0, 20).Select(static i => $"past {i}\n")), carried);
    }

    [Fact]
    public void What_others_append_in_the_very_moment_of_a_batch_is_not_overwritten()
    {
        const int files = 400;
        using var kernel = Kernel();
        Settled(kernel);
        var places = new List<int>();
        ulong unique = 2;
        for (var i = 0; i < files; i++)
        {
            var (_, handle) = kernel.Create($"{i}.log", unique += 2);
            kernel.Write(handle, unique += 2, "through\n");
            using var program = File.OpenHandle(PathOf(kernel, $"{i}.log"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            var fd = (int)program.DangerousGetHandle();
            Assert.Equal(0, Libc.Fcntl(fd, Libc.F_SETFL, Libc.O_APPEND));
            var other = new Thread(() =>
            {
                // As soon as anything of the batch is to be seen, or shortly before.
                for (var spins = i % 40 * 25; spins > 0 && Libc.LSeek(fd, 0, Libc.SEEK_END) == 0; spins--)
                {
                }
                fixed (byte* text = "past\n"u8)
                    Assert.Equal(5, Libc.Write(fd, text, 5));
            });
            other.Start();
            Assert.Equal(0, kernel.Ask(Opcode.FSync, unique += 2, 1, Bytes(new FSyncIn { Handle = handle })).Error);
            other.Join();
            places.Add(File.ReadAllText(PathOf(kernel, $"{i}.log")).IndexOf("past", StringComparison.Ordinal));
        }
        Assert.DoesNotContain(-1, places);
        Assert.All(Enumerable.Range(0, files), i => Assert.Equal(13, new FileInfo(PathOf(kernel, $"{i}.log")).Length));
        kernel.Remount();
        Settled(kernel);
        Assert.Equal(files, Carried(kernel).Count(static line => line.EndsWith(" past\n", StringComparison.Ordinal)));
        Assert.Equal(files, Carried(kernel).Count);
    }

    [Fact]
    public void Without_content_kept_it_is_carried_once_too()
    {
        using var kernel = Kernel(options => options with { Keep = Keep.None });
        var (_, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "one\n");
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log", "two\n"));
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log", "three\n"));
        Settled(kernel);
        kernel.Remount();
        Settled(kernel);
        Assert.Equal(["a.log 0..4 two\n", "a.log 4..10 three\n"], Carried(kernel));
    }

    [Fact]
    public void A_program_that_opened_a_file_before_the_mount_is_followed_until_it_closes_it()
    {
        using var kernel = Kernel();
        Settled(kernel);
        FileStream? program = null;
        kernel.Remount(() =>
        {
            program = new FileStream(PathOf(kernel, "a.log"), FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 1);
            program.Write("one\n"u8);
            program.Flush();
        });
        Settled(kernel);
        program!.Write("two\n"u8);
        program.Flush();
        SpinWait.SpinUntil(() => Carried(kernel).Count == 2, TimeSpan.FromSeconds(10));
        Assert.Equal(["a.log 0..4 one\n", "a.log 4..8 two\n"], Carried(kernel));
        var node = Lookup(kernel, "a.log", 2);
        Assert.Equal(-Errno.EBUSY, kernel.Ask(Opcode.Open, 4, node, Bytes(new OpenIn { Flags = ToAppend })).Error);
        program.Dispose();
        Assert.Equal(0, kernel.Ask(Opcode.Open, 6, node, Bytes(new OpenIn { Flags = ToAppend })).Error);
        kernel.Remount(() => Append(kernel, "a.log", "three\n"));
        Settled(kernel);
        Assert.Equal("a.log 8..14 three\n", Carried(kernel)[^1]);
    }

    [Fact]
    public void A_passed_file_is_carried_by_one_of_the_two_ways_only()
    {
        using var kernel = Kernel(options => options with
        {
            Negotiation = "45,a000000000,131072,33",
            PassesThrough = static path => path.EndsWith(".log"u8),
            OpenBacking = static _ => 1,
        });
        var (_, handle) = kernel.Create("a.log", 2);
        Append(kernel, "a.log", "one\n");
        SpinWait.SpinUntil(() => Carried(kernel).Count == 1, TimeSpan.FromSeconds(10));
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log", "two\n"));
        Settled(kernel);
        kernel.Remount(() => Append(kernel, "a.log", "three\n"));
        Settled(kernel);
        kernel.Remount();
        Settled(kernel);
        Assert.Equal(["a.log 0..4 one\n", "a.log 4..8 two\n", "a.log 8..14 three\n"], Carried(kernel));
    }

    private static string PathOf(KernelEnd kernel, string name) => Path.Combine(kernel.Underneath, name);

    private static void Append(KernelEnd kernel, string name, string text) => File.AppendAllText(PathOf(kernel, name), text);

    private static ulong Lookup(KernelEnd kernel, string name, ulong unique) =>
        MemoryMarshal.Read<EntryOut>(kernel.Ask(Opcode.Lookup, unique, 1, Name(name)).Payload).NodeId;

    private KernelEnd Kernel(Func<MountOptions, MountOptions>? configure = null, bool carries = true) => new(Configure(carries, configure));

    private void Carry(KernelEnd kernel) => kernel.Configure = Configure(carries: true);

    private Func<MountOptions, MountOptions> Configure(bool carries, Func<MountOptions, MountOptions>? configure = null) => options =>
    {
        options = options with
        {
            CarriesUnmounted = carries,
            Report = text =>
            {
                lock (_reports)
                    _reports.Add(text);
            },
        };
        return configure is null ? options : configure(options);
    };

    // Every file was looked at.
    private static void Settled(KernelEnd kernel)
    {
        var folder = Path.GetDirectoryName(kernel.StatePath)!;
        Assert.True(SpinWait.SpinUntil(() => File.Exists(Path.Combine(folder, "account")) && !File.Exists(Path.Combine(folder, "account.new")), TimeSpan.FromSeconds(30)));
    }

    // Path, range and bytes of each extent.
    private static List<string> Carried(KernelEnd kernel, bool withWrites = false)
    {
        var lines = new List<string>();
        var paths = new Dictionary<ulong, string>();
        using var reader = new LogReader(kernel.Storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Source && SourceRecord.TryParse(record.Body, out var source))
                paths[source.Id == 0 ? record.Sequence : source.Id] = Encoding.UTF8.GetString(source.Path);
            else if (withWrites && record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                lines.Add($"{paths[write.Source]} {Encoding.UTF8.GetString(write.Data)}");
            else if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                lines.Add($"{paths[extent.Source]} {extent.From}..{extent.To} {Text(kernel, extent)}");
        }
        return lines;
    }

    private static string Text(KernelEnd kernel, in ExtentRecord extent)
    {
        var saved = PathOf(kernel, BackingFile.SavedName(extent.File, extent.Generation));
        using var file = new FileStream(File.Exists(saved) ? saved : PathOf(kernel, BackingFile.LiveName(extent.File)), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Position = (long)extent.From;
        var text = new byte[extent.To - extent.From];
        return Encoding.UTF8.GetString(text, 0, file.ReadAtLeast(text, text.Length, throwOnEndOfStream: false));
    }

    private static byte[] Start(string path)
    {
        using var file = File.OpenRead(path);
        var bytes = new byte[64 * 1024];
        file.ReadExactly(bytes);
        return bytes;
    }

    private static void Write(string path, byte[] start)
    {
        using var file = File.Create(path);
        file.Write(start);
        file.SetLength(1L << 30);
    }

    private static ulong SequenceOf(KernelEnd kernel, string text)
    {
        using var reader = new LogReader(kernel.Storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write) && Encoding.UTF8.GetString(write.Data) == text)
                return record.Sequence;
        }
        throw new InvalidOperationException(text);
    }

    private static ulong SessionOf(KernelEnd kernel)
    {
        using var reader = new LogReader(kernel.Storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                return extent.Handle;
        }
        throw new InvalidOperationException("no extent");
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkfifo(string path, uint mode);

    [LibraryImport("libc")]
    private static partial uint geteuid();
}
