using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;
using static Hikyaku.Tests.Mount.KernelEnd;

namespace Hikyaku.Tests.Mount;

/// <summary>
/// Files that are written past the mount process. Here the test writes where the kernel would: to the file underneath. To restart
/// means that the process was killed.
/// </summary>
public sealed unsafe partial class PassthroughTests
{
    private const uint ReadOnly = 0;
    private const uint ToAppend = 0x401;
    private const string Offered = "45,a000000000,131072,33";
    private const string NotOffered = "45,8000000000,131072,33";

    private readonly List<string> _reports = [];
    private readonly List<int> _registered = [];

    [Fact]
    public void A_file_that_matches_is_opened_with_one_backing_id_by_all_until_the_last_has_closed_it()
    {
        using var kernel = Kernel();
        var (node, first) = Make(kernel, "a.log", 2);
        Assert.Equal((OpenReplyFlags.Passthrough | OpenReplyFlags.NoFlush, 1), (first.OpenFlags, first.BackingId));
        var second = Open(kernel, node, 4, ReadOnly);
        Assert.Equal((OpenReplyFlags.Passthrough | OpenReplyFlags.NoFlush, 1), (second.OpenFlags, second.BackingId));
        Release(kernel, first.Handle, 6);
        Assert.Equal(1, Open(kernel, node, 8, ToAppend).BackingId);
        kernel.Restart();
        var third = Open(kernel, node, 10, ToAppend);
        Assert.Equal(1, third.BackingId);
        Assert.Single(_registered);
    }

    [Fact]
    public void Others_and_those_that_somebody_has_open_otherwise_come_to_us()
    {
        using var kernel = Kernel();
        Assert.Equal(OpenReplyFlags.DirectIO | OpenReplyFlags.NoFlush, Make(kernel, "a.txt", 2).Open.OpenFlags);
        var (node, direct) = Make(kernel, "b.txt", 4);
        var (error, _) = kernel.Ask(Opcode.Rename, 6, 1, Bytes(1ul), Name("b.txt"), Name("b.log"));
        Assert.Equal(0, error);
        Assert.Equal(0, Open(kernel, node, 8, ToAppend).BackingId);
        Release(kernel, direct.Handle, 10);
        Assert.Equal(0, Open(kernel, node, 12, ReadOnly).BackingId);
    }

    [Fact]
    public void Without_content_kept_reading_still_comes_to_us()
    {
        using var kernel = Kernel(options => options with { Keep = Keep.None });
        var (node, first) = Make(kernel, "a.log", 2);
        Assert.Equal(OpenReplyFlags.Passthrough | OpenReplyFlags.NoFlush, first.OpenFlags);
        var reading = Open(kernel, node, 4, ReadOnly);
        Assert.Equal(OpenReplyFlags.Passthrough | OpenReplyFlags.DirectIO | OpenReplyFlags.NoFlush, reading.OpenFlags);
        Assert.Equal(-Errno.ENODATA, kernel.Ask(Opcode.Read, 6, node, Bytes(new ReadIn { Handle = reading.Handle, Size = 10 })).Error);
    }

    [Fact]
    public void What_was_there_before_is_not_carried()
    {
        using var kernel = Kernel();
        File.WriteAllText(PathOf(kernel, "a.log"), "before\n");
        var opened = Open(kernel, Lookup(kernel, "a.log", 2), 4, ToAppend);
        Grow(kernel, "a.log", "after\n");
        Release(kernel, opened.Handle, 6);
        Assert.Equal(["7..13 of generation 0", "close"], kernel.Records(2));
    }

    [Fact]
    public void Growth_is_noticed_in_pieces_of_a_quarter_megabyte_and_holes_are_left_out()
    {
        using var kernel = Kernel();
        Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", new string('x', 266_240));
        Assert.Equal(["0..262144 of generation 0", "262144..266240 of generation 0"], kernel.Records(2));
        using (var file = File.OpenWrite(PathOf(kernel, "a.log")))
        {
            file.Position = 1L << 40;
            file.Write("far"u8);
        }
        Assert.Equal($"{1L << 40}..{(1L << 40) + 3} of generation 0", kernel.Records(3)[2]);
    }

    [Fact]
    public void Growth_while_nobody_looks_is_noticed_by_the_successor_once_and_by_the_same_session()
    {
        using var kernel = Kernel();
        var (_, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        Assert.Single(kernel.Records(1));
        kernel.Restart(() => Grow(kernel, "a.log", "two\n"));
        Assert.Equal(["0..4 of generation 0", "4..8 of generation 0"], kernel.Records(2));
        Release(kernel, opened.Handle, 4);
        Assert.Equal(["0..4 of generation 0", "4..8 of generation 0", "close"], kernel.Records(3));
        Assert.Single(Sessions(kernel));
    }

    [Fact]
    public void A_kill_between_an_extent_and_the_note_of_it_repeats_nothing()
    {
        using var kernel = Kernel();
        Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        kernel.Restart(() => Change(kernel, static (header, slot) =>
        {
            (header->Answered, slot->Extended, slot->Last) = (0, 0, 0);
        }));
        Grow(kernel, "a.log", "two\n");
        Assert.Equal(["0..4 of generation 0", "4..8 of generation 0"], kernel.Records(2));
    }

    [Fact]
    public void A_kill_between_the_close_and_the_note_of_it_closes_once()
    {
        using var kernel = Kernel();
        var (node, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        var session = 0ul;
        kernel.Restart(() =>
        {
            Change(kernel, (header, slot) => (header->Answered, session) = (0, slot->Session));
            Append(kernel, session);
        });
        Release(kernel, opened.Handle, 4 | Resent);
        Grow(kernel, "a.log", "nobody has it open\n");
        var again = Open(kernel, node, 6, ToAppend);
        Grow(kernel, "a.log", "two\n");
        Release(kernel, again.Handle, 8);
        Assert.Equal(["0..4 of generation 0", "close", "23..27 of generation 0", "close"], kernel.Records(4));
        Assert.Equal(2, Sessions(kernel).Count);
    }

    [Theory]
    [InlineData("copied")]
    [InlineData("saved")]
    [InlineData("cut")]
    [InlineData("noted")]
    public void A_kill_in_the_midst_of_a_cut_loses_nothing_and_repeats_nothing(string step)
    {
        using var kernel = Kernel();
        var (node, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        kernel.Restart(() => Change(kernel, (header, slot) =>
        {
            var saved = PathOf(kernel, BackingFile.SavedName(slot->Number, 0));
            File.WriteAllText(step == "copied" ? PathOf(kernel, ".hikyaku-saving") : saved, step == "copied" ? "on" : "one\n");
            if (step is "cut" or "noted")
                File.WriteAllText(PathOf(kernel, "a.log"), "");
            if (step == "noted")
                (slot->Delivered, slot->Generation) = (0, 1);
        }));
        Assert.Equal(0, Truncate(kernel, node, opened.Handle, 4 | Resent, 0).Error);
        Grow(kernel, "a.log", "two\n");
        Release(kernel, opened.Handle, 6);
        var records = kernel.Records(3);
        Assert.Equal(("0..4 of generation 0", "close", 3), (records[0], records[2], records.Count));
        Assert.StartsWith("0..4 of generation ", records[1], StringComparison.Ordinal);
        Assert.NotEqual(records[0], records[1]);
        Assert.Equal(["one\n", "two\n"], Content(kernel));
        Assert.False(File.Exists(PathOf(kernel, ".hikyaku-saving")));
    }

    [Fact]
    public void What_is_not_delivered_of_a_file_that_is_cut_stands_in_the_saved_one()
    {
        using var kernel = Kernel();
        var (node, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\ntwo\n");
        Assert.Equal(0, Truncate(kernel, node, opened.Handle, 4, 5).Error);
        Grow(kernel, "a.log", "hree\n");
        Assert.Equal(0, Truncate(kernel, node, opened.Handle, 6, 100).Error);
        Grow(kernel, "a.log", "four\n");
        Assert.Equal(["0..8 of generation 0", "5..10 of generation 1", "100..105 of generation 1"], kernel.Records(3));
        Assert.Equal(["one\ntwo\n", "hree\n", "four\n"], Content(kernel));
    }

    [Fact]
    public void What_is_delivered_is_not_saved_and_what_is_over_leaves_no_name()
    {
        using var kernel = Kernel(options => options with { Log = options.Log with { CursorDirectory = Path.GetDirectoryName(options.LogDirectory), Cursors = ["route"] } });
        var cursor = Path.Combine(Path.GetDirectoryName(kernel.Underneath)!, "logs", "route.cursor");
        var (node, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        Cursor.Write(cursor, Next(kernel));
        Grow(kernel, "a.log", "two\n");
        kernel.Records(2);
        Assert.Equal(0, Truncate(kernel, node, opened.Handle, 4, 0).Error);
        Assert.Equal("\0\0\0\0two\n", File.ReadAllText(Assert.Single(Directory.GetFiles(kernel.Underneath, ".hikyaku-file-*.0"))));
        Release(kernel, opened.Handle, 6);
        Assert.Equal(2, Hidden(kernel).Length);
        Cursor.Write(cursor, Next(kernel));
        Assert.True(SpinWait.SpinUntil(() => Hidden(kernel).Length == 0, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void A_file_that_nobody_wrote_to_leaves_no_name()
    {
        using var kernel = Kernel();
        var (_, opened) = Make(kernel, "a.log", 2);
        Assert.Single(Hidden(kernel));
        Release(kernel, opened.Handle, 4);
        Assert.Empty(Hidden(kernel));
    }

    [Fact]
    public void The_second_name_is_not_seen()
    {
        using var kernel = Kernel();
        var (node, _) = Make(kernel, "a.log", 2);
        var (error, payload) = kernel.Ask(Opcode.GetAttr, 4, node, Bytes(new GetAttrIn()));
        Assert.Equal((0, 1u), (error, MemoryMarshal.Read<AttrOut>(payload).Attr.Nlink));
        Assert.Equal(-Errno.ENOENT, kernel.Ask(Opcode.Lookup, 6, 1, Name(Path.GetFileName(Hidden(kernel)[0]))).Error);
    }

    [Fact]
    public void Without_room_in_the_log_growth_waits_and_nothing_is_cut()
    {
        var cursors = Directory.CreateTempSubdirectory("hikyaku-cursors-").FullName;
        using var kernel = Kernel(options => options with { Log = options.Log with { QuotaBytes = 128 << 10, CursorDirectory = cursors, Cursors = ["route"] } });
        var (_, filler) = Make(kernel, "filler.txt", 2);
        var unique = 4ul;
        while (kernel.Write(filler.Handle, unique += 2, new string('x', 50)) == 0)
        {
        }
        var (node, opened) = Make(kernel, "a.log", unique += 2);
        Grow(kernel, "a.log", "one\n");
        Assert.Equal(-Errno.ENOSPC, Truncate(kernel, node, opened.Handle, unique += 2, 0).Error);
        Assert.Equal("one\n", File.ReadAllText(PathOf(kernel, "a.log")));
        Assert.Equal(4, kernel.Counters.WaitingBytes);
        Assert.Equal(-Errno.ENOSPC, kernel.Ask(Opcode.FSync, unique += 2, node, Bytes(new FSyncIn { Handle = opened.Handle })).Error);

        Cursor.Write(Path.Combine(cursors, "route.cursor"), Next(kernel));
        Assert.Contains("0..4 of generation 0", kernel.Records(1 + kernel.Records().Count));
        Assert.True(SpinWait.SpinUntil(() => kernel.Counters.WaitingBytes == 0, TimeSpan.FromSeconds(30)));
        Directory.Delete(cursors, recursive: true);
    }

    [Fact]
    public void The_next_mount_finds_what_came_after_the_instance_was_killed()
    {
        using var kernel = Kernel();
        Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        kernel.Stop();
        Grow(kernel, "a.log", "two\n");
        kernel.Remount();
        Assert.Equal(["0..4 of generation 0", "4..8 of generation 0", "close"], kernel.Records(3));
        var opened = Open(kernel, Lookup(kernel, "a.log", 2), 4, ToAppend);
        Grow(kernel, "a.log", "three\n");
        Release(kernel, opened.Handle, 6);
        Assert.Equal(["8..14 of generation 0", "close"], kernel.Records(5).Skip(3));
        Assert.Single(Hidden(kernel));
    }

    [Fact]
    public void Programs_that_outlive_the_mount_are_followed_by_the_next_one()
    {
        using var kernel = Kernel();
        Make(kernel, "a.log", 2);
        using (var program = new FileStream(PathOf(kernel, "a.log"), FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 0))
        {
            program.Write("one\n"u8);
            kernel.Records(1);
            kernel.Remount();
            program.Write("two\n"u8);
            Assert.Equal(["0..4 of generation 0", "4..8 of generation 0"], kernel.Records(2));
            // Who opens it now writes to the same file, and is followed in the same session.
            Open(kernel, Lookup(kernel, "a.log", 2), 4, ReadOnly);
        }
        Assert.Equal(["0..4 of generation 0", "4..8 of generation 0", "close"], kernel.Records(3));
        Assert.Single(Sessions(kernel));
    }

    [Fact]
    public void Programs_that_outlive_the_mount_are_followed_by_the_successors_of_the_next_one_too()
    {
        using var kernel = Kernel();
        Make(kernel, "a.log", 2);
        using (var program = new FileStream(PathOf(kernel, "a.log"), FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 0))
        {
            program.Write("one\n"u8);
            kernel.Records(1);
            kernel.Remount();
            kernel.Restart(() => program.Write("two\n"u8));
            Assert.Equal(["0..4 of generation 0", "4..8 of generation 0"], kernel.Records(2));
            program.Write("three\n"u8);
            Assert.Equal("8..14 of generation 0", kernel.Records(3)[2]);
            Assert.Equal(1, kernel.Counters.PassedOpens);
        }
        Assert.Equal("close", kernel.Records(4)[3]);
        Assert.Single(Sessions(kernel));
    }

    [Fact]
    public void What_programs_that_outlive_the_mount_write_nobody_writes_over_when_it_is_no_longer_passed_through()
    {
        var isRefused = false;
        using var kernel = Kernel(options => options with { OpenBacking = file => isRefused ? -Errno.EPERM : Register(file) });
        Make(kernel, "a.log", 2);
        using (var program = new FileStream(PathOf(kernel, "a.log"), FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 0))
        {
            program.Write("one\n"u8);
            kernel.Records(1);
            isRefused = true;
            kernel.Remount();
            var node = Lookup(kernel, "a.log", 2);
            Assert.Equal(-Errno.EBUSY, kernel.Ask(Opcode.Open, 4, node, Bytes(new OpenIn { Flags = ToAppend })).Error);
            Assert.Equal(-Errno.EBUSY, kernel.Ask(Opcode.Open, 6, node, Bytes(new OpenIn { Flags = ToAppend })).Error);
            Assert.Single(_reports, static report => report.Contains("EBUSY", StringComparison.Ordinal));
            Assert.Equal(OpenReplyFlags.DirectIO | OpenReplyFlags.NoFlush, Open(kernel, node, 8, ReadOnly).OpenFlags);
            program.Write("two\n"u8);
            Assert.Equal(["0..4 of generation 0", "4..8 of generation 0"], kernel.Records(2));
        }
        Assert.Equal("close", kernel.Records(3)[2]);
        Assert.Equal(0, Open(kernel, Lookup(kernel, "a.log", 10), 12, ToAppend).BackingId);
    }

    [Fact]
    public void A_second_name_that_is_far_ahead_of_the_clock_is_not_ours()
    {
        using var kernel = Kernel();
        File.WriteAllText(PathOf(kernel, ".hikyaku-file-fffffffffffffffe"), "");
        kernel.Remount();
        Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        Assert.Single(kernel.Records(1));
        kernel.Stop();
        Change(kernel, static (header, _) => Assert.True(header->NextHandle < ulong.MaxValue / 2));
    }

    [Fact]
    public void What_others_put_where_we_save_is_not_written_to()
    {
        using var kernel = Kernel();
        var (node, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        File.WriteAllText(PathOf(kernel, "other"), "other");
        Assert.Equal(0, link(PathOf(kernel, "other"), PathOf(kernel, ".hikyaku-saving")));
        Assert.Equal(0, Truncate(kernel, node, opened.Handle, 4, 0).Error);
        Assert.Equal("other", File.ReadAllText(PathOf(kernel, "other")));
        Assert.Equal(["one\n"], Content(kernel));
    }

    [Fact]
    public void What_is_no_file_counts_as_missing_where_others_may_have_put_it()
    {
        using var kernel = Kernel();
        File.WriteAllText(PathOf(kernel, "file"), "x");
        File.CreateSymbolicLink(PathOf(kernel, "link"), PathOf(kernel, "file"));
        Assert.Equal(0, mkfifo(PathOf(kernel, "pipe"), 0x180));
        Assert.Null(Disk.OfThisMachine.Open(PathOf(kernel, "link"), Opening.ExistingAmongForeign));
        Assert.Null(Disk.OfThisMachine.Open(PathOf(kernel, "pipe"), Opening.ExistingAmongForeign));
        Assert.Null(Disk.OfThisMachine.Open(kernel.Underneath, Opening.ExistingAmongForeign));
        Assert.Null(Disk.OfThisMachine.Open(PathOf(kernel, "none"), Opening.ExistingAmongForeign));
        using var file = Disk.OfThisMachine.Open(PathOf(kernel, "file"), Opening.ExistingAmongForeign);
        Assert.NotNull(file);
    }

    [Fact]
    public void What_is_left_of_a_file_with_undelivered_bytes_that_somebody_cuts_underneath_is_saved()
    {
        using var kernel = Kernel();
        var (_, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\ntwo\n");
        kernel.Records(1);
        Cut(kernel, "a.log", 4);
        Assert.True(SpinWait.SpinUntil(() => Hidden(kernel).Length == 2, TimeSpan.FromSeconds(30)));
        Grow(kernel, "a.log", "three\n");
        Release(kernel, opened.Handle, 4);
        Assert.Equal(["0..8 of generation 0", "4..10 of generation 1", "close"], kernel.Records(3));
        Assert.Equal(["one\n", "three\n"], Content(kernel));
        Assert.Equal(1, kernel.Counters.Shrunk);
    }

    [Fact]
    public void A_file_that_was_cut_underneath_while_nobody_had_it_open_begins_anew_with_what_is_left_saved()
    {
        using var kernel = Kernel();
        var (node, first) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\ntwo\n");
        Release(kernel, first.Handle, 4);
        kernel.Records(2);
        Cut(kernel, "a.log", 4);
        var second = Open(kernel, node, 6, ToAppend);
        Grow(kernel, "a.log", "three\n");
        Release(kernel, second.Handle, 8);
        Assert.Equal(["0..8 of generation 0", "close", "4..10 of generation 1", "close"], kernel.Records(4));
        Assert.Equal(["one\n", "three\n"], Content(kernel));
    }

    [Fact]
    public void A_kill_before_a_file_grows_by_zeros_is_no_cut()
    {
        using var kernel = Kernel();
        var (node, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        kernel.Restart(() => Change(kernel, static (_, slot) => slot->Extended = 100));
        Assert.Equal(0, Truncate(kernel, node, opened.Handle, 4 | Resent, 100).Error);
        Grow(kernel, "a.log", "two\n");
        Assert.Equal(["0..4 of generation 0", "100..104 of generation 0"], kernel.Records(2));
        Assert.Equal(["one\n", "two\n"], Content(kernel));
        Assert.Single(Hidden(kernel));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_came_while_a_file_was_cut_is_carried_from_what_was_saved(bool isCut)
    {
        using var kernel = Kernel();
        var (node, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        kernel.Restart(() => Change(kernel, (_, slot) =>
        {
            File.WriteAllText(PathOf(kernel, BackingFile.SavedName(slot->Number, 0)), "one\ntwo\n");
            File.WriteAllText(PathOf(kernel, "a.log"), isCut ? "" : "one\ntwo\n");
        }));
        Assert.Equal(["0..4 of generation 0", "4..8 of generation 0"], kernel.Records(2));
        Assert.Equal(0, Truncate(kernel, node, opened.Handle, 4 | Resent, 0).Error);
        Grow(kernel, "a.log", "three\n");
        Release(kernel, opened.Handle, 6);
        Assert.Equal(4, kernel.Records(4).Count);
        Assert.Equal(["one\n", "two\n", "three\n"], Content(kernel));
    }

    [Fact]
    public void Allocating_room_through_a_handle_of_ours_moves_the_end_of_a_file_that_was_passed_through()
    {
        using var kernel = Kernel();
        var (node, passed) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        Release(kernel, passed.Handle, 4);
        Assert.Equal(0, kernel.Ask(Opcode.Rename, 6, 1, Bytes(1ul), Name("a.log"), Name("a.txt")).Error);
        var direct = Open(kernel, node, 8, ToAppend);
        Assert.Equal(0, direct.BackingId);
        Assert.Equal(0, kernel.Ask(Opcode.FAllocate, 10, node, Bytes(new FAllocateIn { Handle = direct.Handle, Length = 100 })).Error);
        Assert.Equal(0, kernel.Write(direct.Handle, 12, "two\n", 100));
        Release(kernel, direct.Handle, 14);
        kernel.Stop();
        Assert.Equal("one\n" + new string('\0', 96) + "two\n", File.ReadAllText(PathOf(kernel, "a.txt")));
    }

    [Fact]
    public void That_bytes_are_on_the_disk_is_remembered_until_they_are_delivered()
    {
        using var kernel = Kernel();
        var (node, first) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        Assert.Equal(0, kernel.Ask(Opcode.FSync, 4, node, Bytes(new FSyncIn { Handle = first.Handle })).Error);
        Release(kernel, first.Handle, 6);
        Open(kernel, node, 8, ToAppend);
        kernel.Stop();
        Change(kernel, static (_, slot) => Assert.Equal(1, slot->Synced));
    }

    [Fact]
    public void A_second_name_that_the_state_does_not_know_is_kept_until_all_is_delivered()
    {
        using var kernel = Kernel(options => options with { Log = options.Log with { CursorDirectory = Path.GetDirectoryName(options.LogDirectory), Cursors = ["route"] } });
        var (_, opened) = Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        Release(kernel, opened.Handle, 4);
        kernel.Records(2);
        kernel.Stop();
        File.Delete(kernel.StatePath);
        kernel.Remount();
        Assert.Single(Hidden(kernel));
        Cursor.Write(Path.Combine(Path.GetDirectoryName(kernel.Underneath)!, "logs", "route.cursor"), Next(kernel));
        Assert.True(SpinWait.SpinUntil(() => Hidden(kernel).Length == 0, TimeSpan.FromSeconds(30)));
        Assert.Equal("one\n", File.ReadAllText(PathOf(kernel, "a.log")));
    }

    [Fact]
    public void After_a_loss_of_power_the_log_says_how_far_a_file_was_noticed()
    {
        using var kernel = Kernel();
        Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        Grow(kernel, "a.log", "two\n");
        kernel.Records(2);
        kernel.Stop();
        // The state's page of before the second extent came to the disk last, the file's end not at all.
        Change(kernel, static (_, slot) => slot->Extended = 4);
        using (var file = File.OpenWrite(PathOf(kernel, "a.log")))
            file.SetLength(6);
        kernel.Remount();
        Grow(kernel, "a.log", "nobody\n");
        var opened = Open(kernel, Lookup(kernel, "a.log", 2), 4, ToAppend);
        Grow(kernel, "a.log", "three\n");
        Release(kernel, opened.Handle, 6);
        Assert.Equal(["0..4 of generation 0", "4..8 of generation 0", "close", "13..19 of generation 1", "close"], kernel.Records(5));
    }

    [Fact]
    public void A_file_that_somebody_cuts_underneath_is_followed_from_there_and_that_is_counted()
    {
        using var kernel = Kernel();
        Make(kernel, "a.log", 2);
        Grow(kernel, "a.log", "one\n");
        kernel.Records(1);
        File.WriteAllText(PathOf(kernel, "a.log"), "");
        Assert.True(SpinWait.SpinUntil(() => kernel.Counters.Shrunk == 1, TimeSpan.FromSeconds(30)));
        Grow(kernel, "a.log", "two\n");
        Assert.Equal(["0..4 of generation 0", "0..4 of generation 1"], kernel.Records(2));
    }

    [Fact]
    public void Where_the_kernel_does_not_offer_it_files_come_to_us_and_that_is_said_once()
    {
        using var kernel = Kernel(static options => options with { Negotiation = NotOffered });
        Assert.Equal(0, Make(kernel, "a.log", 2).Open.BackingId);
        var (_, opened) = Make(kernel, "b.log", 4);
        Assert.Equal(0, kernel.Write(opened.Handle, 6, "one\n"));
        Assert.Equal(["one\n"], kernel.Records());
        Assert.Contains("the kernel does not offer it", Assert.Single(_reports), StringComparison.Ordinal);
        Assert.NotNull(kernel.Counters.NotPassed);
    }

    [Theory]
    [InlineData(Errno.EPERM, "CAP_SYS_ADMIN")]
    [InlineData(Errno.ELOOP, "does not pass this file system's files through")]
    public void Where_the_kernel_refuses_files_come_to_us_and_that_is_said_once(int errno, string said)
    {
        using var kernel = Kernel(options => options with { OpenBacking = _ => -errno });
        Assert.Equal(0, Make(kernel, "a.log", 2).Open.BackingId);
        Assert.Equal(0, Make(kernel, "b.log", 4).Open.BackingId);
        Assert.Contains(said, Assert.Single(_reports), StringComparison.Ordinal);
        Assert.Empty(Hidden(kernel));
    }

    [MountFact]
    public void The_kernel_writes_past_us()
    {
        using var mount = new LiveMount(options => options with { PassesThrough = static _ => true }).Start();
        mount.Shell("echo one > a.log; echo two >> a.log; cat a.log; [ $(stat -c %h a.log) = 1 ]");
        Assert.Equal(["extent a.log 0..4", "close a.log", "extent a.log 4..8", "close a.log"], mount.Records(4));
    }

    private KernelEnd Kernel(Func<MountOptions, MountOptions>? configure = null) => new(options => (configure ?? (static o => o))(options with
    {
        Negotiation = Offered,
        PassesThrough = static path => path.EndsWith(".log"u8),
        Report = _reports.Add,
        OpenBacking = Register,
    }));

    private int Register(int descriptor)
    {
        _registered.Add(descriptor);
        return _registered.Count;
    }

    private static string PathOf(KernelEnd kernel, string name) => Path.Combine(kernel.Underneath, name);

    private static string[] Hidden(KernelEnd kernel) => Directory.GetFiles(kernel.Underneath, ".hikyaku-file-*");

    private static void Grow(KernelEnd kernel, string name, string text) => File.AppendAllText(PathOf(kernel, name), text);

    private static ulong Next(KernelEnd kernel)
    {
        using var reader = new LogReader(kernel.Storage, 0);
        while (reader.TryRead(out _))
        {
        }
        return reader.Position;
    }

    private static (ulong Node, OpenOut Open) Make(KernelEnd kernel, string name, ulong unique)
    {
        var (error, payload) = kernel.Ask(Opcode.Create, unique, 1, Bytes(new CreateIn { Flags = ToAppend, Mode = 0x81A4 }), Name(name));
        Assert.Equal(0, error);
        return (MemoryMarshal.Read<EntryOut>(payload).NodeId, MemoryMarshal.Read<OpenOut>(payload.AsSpan(Unsafe.SizeOf<EntryOut>())));
    }

    private static OpenOut Open(KernelEnd kernel, ulong node, ulong unique, uint flags)
    {
        var (error, payload) = kernel.Ask(Opcode.Open, unique, node, Bytes(new OpenIn { Flags = flags }));
        Assert.Equal(0, error);
        return MemoryMarshal.Read<OpenOut>(payload);
    }

    private static ulong Lookup(KernelEnd kernel, string name, ulong unique) =>
        MemoryMarshal.Read<EntryOut>(kernel.Ask(Opcode.Lookup, unique, 1, Name(name)).Payload).NodeId;

    private static void Release(KernelEnd kernel, ulong handle, ulong unique) =>
        Assert.Equal(0, kernel.Ask(Opcode.Release, unique, 2, Bytes(new ReleaseIn { Handle = handle })).Error);

    private static (int Error, byte[] Payload) Truncate(KernelEnd kernel, ulong node, ulong handle, ulong unique, ulong size) =>
        kernel.Ask(Opcode.SetAttr, unique, node, Bytes(new SetAttrIn { Valid = SetAttrValid.Size | SetAttrValid.Handle, Handle = handle, Size = size }));

    private static void Cut(KernelEnd kernel, string name, long length)
    {
        using var file = File.OpenWrite(PathOf(kernel, name));
        file.SetLength(length);
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string from, string to);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkfifo(string path, uint mode);

    private delegate void Alteration(StateHeader* header, BackingSlot* slot);

    // What a killed process would have left.
    private static void Change(KernelEnd kernel, Alteration change)
    {
        using var state = MountState.TryOpen(kernel.StatePath)!;
        change(state.Header, state.Backing(0));
    }

    private static void Append(KernelEnd kernel, ulong session)
    {
        using var log = LogWriter.Open(kernel.Storage, new LogOptions { SegmentBytes = 1 << 20 });
        var body = new byte[CloseRecord.HeadBytes];
        CloseRecord.WriteHead(body, 1, session, 1);
        Assert.True(log.TryAppend(RecordKind.Close, body, [], out _));
    }

    private static HashSet<ulong> Sessions(KernelEnd kernel)
    {
        var sessions = new HashSet<ulong>();
        using var reader = new LogReader(kernel.Storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                sessions.Add(extent.Handle);
        }
        return sessions;
    }

    // What a reader of the log finds where the extents point.
    private static List<string> Content(KernelEnd kernel)
    {
        var texts = new List<string>();
        using var reader = new LogReader(kernel.Storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind != RecordKind.Extent || !ExtentRecord.TryParse(record.Body, out var extent))
                continue;
            var saved = PathOf(kernel, BackingFile.SavedName(extent.File, extent.Generation));
            using var file = File.OpenRead(File.Exists(saved) ? saved : PathOf(kernel, BackingFile.LiveName(extent.File)));
            file.Position = (long)extent.From;
            var text = new byte[extent.To - extent.From];
            var got = file.ReadAtLeast(text, text.Length, throwOnEndOfStream: false);
            texts.Add(System.Text.Encoding.UTF8.GetString(text, 0, got));
        }
        return texts;
    }
}
