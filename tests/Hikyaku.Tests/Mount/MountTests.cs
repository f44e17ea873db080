using System.Diagnostics;
using System.Text;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>A real mount, where what a page of examples cannot show is tried. As root only.</summary>
public sealed class MountTests
{
    [MountFact]
    public void What_was_written_is_underneath_after_unmounting()
    {
        using var mount = new LiveMount().Start();
        Assert.Equal("hello\nagain\n", mount.Shell("echo hello > a.log; echo again >> a.log; cat a.log"));
        mount.Stop();
        Assert.Equal(MountEnd.Unmounted, mount.End);
        Assert.Equal("hello\nagain\n", File.ReadAllText(Path.Combine(mount.Point, "a.log")));
        Assert.Equal("", mount.Reports);
    }

    [MountFact]
    public void What_was_there_before_is_visible_and_can_be_appended_to()
    {
        using var mount = new LiveMount();
        File.WriteAllText(Path.Combine(mount.Point, "old.log"), "before\n");
        mount.Start();
        Assert.Equal("before\nafter\n", mount.Shell("echo after >> old.log; cat old.log"));
        Assert.Equal(["write old.log@7 after\\n", "close old.log"], mount.Records(2));
    }

    [MountFact]
    public void A_mount_can_be_made_again_on_the_same_state()
    {
        using var mount = new LiveMount().Start();
        mount.Shell("echo one >> a.log");
        mount.Stop();
        mount.Start();
        Assert.Equal("one\ntwo\n", mount.Shell("echo two >> a.log; cat a.log"));
        Assert.Equal(["write a.log@0 one\\n", "close a.log", "write a.log@4 two\\n", "close a.log"], mount.Records(4));
    }

    [MountFact]
    public void Tail_follows_a_growing_file()
    {
        using var mount = new LiveMount().Start();
        var output = mount.Shell("""
            echo 1 > t.log
            (tail -n +1 -s 0.05 -f t.log & echo $! > ../pid; wait) | {
              read a; echo 2 >> t.log; read b; echo 3 >> t.log; read c; echo "$a $b $c"; kill $(cat ../pid); }
            """);
        Assert.Equal("1 2 3\n", output);
    }

    [MountFact]
    public void Records_name_the_process_and_the_user_that_wrote()
    {
        using var mount = new LiveMount().Start();
        var pid = uint.Parse(mount.Shell("chmod 777 .; echo by root >> a.log; echo $$; setpriv --reuid 12345 --clear-groups sh -c 'echo by other >> b.log'").Trim());
        using var reader = new LogReader(new FileLogStorage(mount.LogDirectory), 0);
        var seen = new List<(string, uint, bool)>();
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                seen.Add((Encoding.UTF8.GetString(write.Data), write.Uid, write.Pid == pid));
        }
        Assert.Equal([("by root\n", 0u, true), ("by other\n", 12345u, false)], seen);
        Assert.Equal("12345\n", mount.Shell("stat -c %u b.log"));
    }

    [MountFact]
    public void Many_writers_lose_and_repeat_nothing_over_many_segments()
    {
        using var mount = new LiveMount(static options => options with { Log = options.Log with { SegmentBytes = 64 * 1024 } }).Start();
        mount.Shell("for w in 1 2 3 4; do (i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo $w $i; done >> w$w.log) & done; wait");
        for (var writer = 1; writer <= 4; writer++)
        {
            var expected = Enumerable.Range(1, 1500).Select(i => $"{writer} {i}");
            Assert.Equal(expected, mount.Shell($"cat w{writer}.log").TrimEnd().Split('\n'));
            Assert.Equal(1500, mount.Records().Count(line => line.StartsWith($"write w{writer}.log", StringComparison.Ordinal)));
        }
        // Each segment can be read alone: its sources are stated in it.
        Assert.True(Directory.GetFiles(mount.LogDirectory, "*.sealed").Length > 3);
        foreach (var segment in Directory.GetFiles(mount.LogDirectory, "*.sealed"))
        {
            using var reader = new LogReader(new FileLogStorage(mount.LogDirectory), ulong.Parse(Path.GetFileName(segment)[..20]));
            var known = new HashSet<ulong>();
            while (reader.TryRead(out var record))
            {
                if (SourceRecordId(record) is var id and not 0)
                    known.Add(id);
                else if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                    Assert.Contains(write.Source, known);
            }
        }
        Assert.Equal(6000, mount.Counters.Writes);
        Assert.Equal(1500, mount.Counters.Sources.Single(static source => source.Path == "w1.log").Writes);
    }

    [MountTheory]
    [InlineData(CommitLevel.Strict)]
    [InlineData(CommitLevel.Interval)]
    public void Commit_levels_commit_without_being_asked(CommitLevel level)
    {
        using var mount = new LiveMount(options => options with { CommitLevel = level }).Start();
        mount.Shell("for w in 1 2 3; do (for i in 1 2 3 4 5 6 7 8 9; do echo $i; done >> s$w.log) & done; wait; cat s1.log");
        Eventually(() => mount.Counters.CommittedSequence >= mount.Counters.NextSequence);
        Assert.Equal(27, mount.Counters.Writes);
    }

    [MountFact]
    public void Fsync_commits_at_any_level()
    {
        using var mount = new LiveMount().Start();
        mount.Shell("echo x > a.log; sync a.log; sync .");
        // The Close may come after the commit.
        Assert.True(mount.Counters.CommittedSequence > 2);
    }

    [MountFact]
    public void A_blocked_write_goes_on_when_a_reader_makes_room()
    {
        using var mount = new LiveMount(static options => options with
        {
            Log = options.Log with { QuotaBytes = 512 * 1024, WhenFull = WhenFull.Block, CursorDirectory = Path.Combine(Path.GetDirectoryName(options.LogDirectory)!, "../cursors"), Cursors = ["reader"] },
        }).Start();
        Cursor.Write(Path.Combine(mount.CursorDirectory, "reader.cursor"), 1);
        var writing = Task.Run(() => mount.Shell("for i in 1 2 3 4 5 6 7 8; do head -c 131072 /dev/zero | tr '\\0' x >> big.log; echo >> big.log; done; wc -c < big.log"));
        Eventually(() => mount.Counters.BlockedNow == 1);
        Assert.False(writing.IsCompleted);
        // A signal ends the wait of one that came behind.
        Assert.Contains("Terminated", mount.Shell("sh -c 'timeout 0.2 sh -c \"echo behind >> other.log\" || echo Terminated'", mustSucceed: false), StringComparison.Ordinal);
        Eventually(() => mount.Counters.BlockedNow == 1);
        using var reader = new LogReader(new FileLogStorage(mount.LogDirectory), 1);
        while (!writing.IsCompleted)
        {
            while (reader.TryRead(out _))
            {
            }
            Cursor.Write(Path.Combine(mount.CursorDirectory, "reader.cursor"), reader.Position);
            Thread.Yield();
        }
        Assert.Equal("1048584\n", writing.Result);
        Assert.Equal(0, mount.Counters.Refused);
        Assert.DoesNotContain(mount.Records(), static line => line.Contains("behind", StringComparison.Ordinal));
    }

    [MountFact]
    public void Drop_oldest_never_refuses_and_counts_what_is_lost()
    {
        using var mount = new LiveMount(static options => options with
        {
            Log = options.Log with { QuotaBytes = 512 * 1024, WhenFull = WhenFull.DropOldest },
        }).Start();
        mount.Shell("for i in $(seq 64); do head -c 32768 /dev/zero | tr '\\0' x >> big.log; done; wc -c < big.log");
        Eventually(() => mount.Counters.Sources.Single().LostRecords > 0);
        Assert.Equal(0, mount.Counters.Refused);
        Assert.Equal("2097152\n", mount.Shell("wc -c < big.log"));
    }

    [MountFact]
    public void A_full_disk_underneath_refuses_writes_until_there_is_room_and_loses_nothing()
    {
        using var mount = new LiveMount();
        Process.Start("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount.Point]).WaitForExit();
        try
        {
            mount.Start();
            mount.Shell("head -c 1600000 /dev/zero > filler; echo first > a.log; sync a.log; cat a.log");
            mount.Shell("head -c 1000000 /dev/zero | tr '\\0' y >> a.log", mustSucceed: false);
            Eventually(() => mount.Reports.Contains("no room underneath", StringComparison.Ordinal));
            Assert.Contains("No space left", mount.Shell("/bin/echo more >> a.log", mustSucceed: false), StringComparison.Ordinal);
            Assert.True(mount.Counters.Refused > 0);
            mount.Shell("rm filler");
            Eventually(() => mount.Reports.Contains("room underneath again", StringComparison.Ordinal));
            var last = mount.Shell("/bin/echo last >> a.log; tail -n 1 a.log | tail -c 5");
            Assert.True(last == "last\n", last + mount.Reports);
            var written = mount.Records().Where(static line => line.StartsWith("write a.log", StringComparison.Ordinal)).Sum(static line => line[(line.IndexOf(' ', 6) + 1)..].Replace("\\n", "n", StringComparison.Ordinal).Length);
            Assert.Equal(written, int.Parse(mount.Shell("wc -c < a.log")));
        }
        finally
        {
            mount.Stop();
            Process.Start("umount", ["-l", mount.Point]).WaitForExit();
        }
    }

    [MountTheory]
    [InlineData("rm a.log")]
    [InlineData(": > a.log")]
    public void Removing_or_emptying_the_file_that_fills_the_disk_makes_room(string remedy)
    {
        using var mount = new LiveMount();
        Process.Start("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", mount.Point]).WaitForExit();
        try
        {
            mount.Start();
            mount.Shell("head -c 8000000 /dev/zero | dd of=a.log bs=1M iflag=fullblock status=none", mustSucceed: false);
            Eventually(() => mount.Reports.Contains("no room underneath", StringComparison.Ordinal));
            mount.Shell(remedy);
            Eventually(() => mount.Reports.Contains("room underneath again", StringComparison.Ordinal));
            Assert.Equal("last\n", mount.Shell("echo last >> a.log; cat a.log"));
        }
        finally
        {
            mount.Stop();
            Process.Start("umount", ["-l", mount.Point]).WaitForExit();
        }
    }

    [MountFact]
    public void The_end_of_a_mount_closes_what_is_still_open()
    {
        using var mount = new LiveMount().Start();
        var file = File.OpenHandle(Path.Combine(mount.Point, "a.log"), FileMode.Create, FileAccess.Write);
        RandomAccess.Write(file, "no newline"u8, 0);
        mount.Shell("echo x > ../gone; exec 3> gone; rm gone; umount -l .");
        file.Dispose();
        mount.Stop();
        Assert.Equal(["write a.log@0 no newline", "close a.log"], mount.Records());
        Assert.Equal(["a.log"], Directory.GetFileSystemEntries(mount.Point).Select(Path.GetFileName));
    }

    [MountFact]
    public void Git_works_in_a_mount()
    {
        if (!File.Exists("/usr/bin/git"))
            return;
        using var mount = new LiveMount().Start();
        mount.Shell("""
            export HOME=$PWD
            git init -q . && git config user.email a@b && git config user.name n
            for i in 1 2 3; do echo $i > f$i; git add . ; git commit -qm c$i; done
            test $(git log --oneline | wc -l) = 3 && git fsck && git mv f1 g1 && git commit -qm mv && git gc -q && git status --porcelain
            """);
    }

    [MountFact]
    public void A_shared_mapping_is_kept_but_not_carried()
    {
        if (!File.Exists("/usr/bin/python3"))
            return;
        using var mount = new LiveMount().Start();
        Assert.Equal("Hello\n", mount.Shell("""
            echo hello > m
            python3 -c 'import mmap
            f = open("m", "r+b"); m = mmap.mmap(f.fileno(), 0); m[0:1] = b"H"; m.flush(); m.close(); f.close()'
            cat m
            """.Replace("            f =", "f =", StringComparison.Ordinal)));
        Assert.Equal(["write m@0 hello\\n", "close m"], mount.Records(2));
    }

    private static ulong SourceRecordId(in LogRecord record) =>
        record.Kind == RecordKind.Source && SourceRecord.TryParse(record.Body, out var source) ? source.Id == 0 ? record.Sequence : source.Id : 0;

    private static void Eventually(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(30)));
}
