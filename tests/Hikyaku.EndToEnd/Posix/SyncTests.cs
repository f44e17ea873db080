using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd.Posix;

/// <summary>
/// What has to be on the disk before a call returns, seen from outside: the mount process and a writing program in one trace, in the
/// order in which the kernel carried out what they asked for.
/// </summary>
public sealed class SyncTests
{
    [RootTheory]
    [InlineData("fsync(", "dd if=/dev/zero of=f bs=100 count=1 conv=fsync status=none")]
    [InlineData("fdatasync(", "dd if=/dev/zero of=f bs=100 count=1 conv=fdatasync status=none")]
    [InlineData("write(", "dd if=/dev/zero of=f bs=100 count=1 oflag=sync status=none")]
    [InlineData("write(", "dd if=/dev/zero of=f bs=100 count=1 oflag=dsync status=none")]
    public void A_call_that_syncs_returns_only_after_the_log_is_on_the_disk(string call, string script)
    {
        using var scene = new Scene();
        AssertCommittedWithin(call, Trace(scene, "", script));
    }

    [RootFact]
    public void At_commit_level_strict_every_write_returns_only_after_the_log_is_on_the_disk()
    {
        using var scene = new Scene();
        AssertCommittedWithin("write(", Trace(scene, "commit: strict", "dd if=/dev/zero of=f bs=100 count=3 status=none"), calls: 3);
    }

    [RootFact]
    public void A_plain_write_waits_for_no_disk()
    {
        using var scene = new Scene();
        var trace = Trace(scene, "", "dd if=/dev/zero of=f bs=100 count=3 status=none");
        Assert.Equal(3, Calls(trace, "write(", "/mnt/f>").Count);
        Assert.Empty(Calls(trace, "fdatasync(", "/logs/logs/"));
    }

    private static void AssertCommittedWithin(string call, string[] trace, int calls = 1)
    {
        var written = Calls(trace, "write(", "/mnt/f>");
        Assert.NotEmpty(written);
        // The mount process syncs the file underneath, which has the same path.
        var writer = Process(trace[written[0].Begin]);
        var made = Calls(trace, call, "/mnt/f>").FindAll(c => Process(trace[c.Begin]) == writer);
        Assert.True(made.Count == calls, string.Join('\n', trace));
        var commits = Calls(trace, "fdatasync(", "/logs/logs/");
        var underneath = Calls(trace, "fdatasync(", "/mnt/f>").FindAll(c => Process(trace[c.Begin]) != writer);
        foreach (var (begin, end) in made)
        {
            // The commit that counts began when the last bytes were there already.
            var from = call == "write(" ? begin : written[^1].End;
            Assert.True(commits.Exists(c => c.Begin > from && c.End < end), $"{call} at {begin} to {end} is not held up by a commit:\n{string.Join('\n', trace)}");
            if (call != "write(")
                Assert.True(underneath.Exists(c => c.Begin > begin && c.End < end), $"{call} at {begin} to {end} leaves the file underneath behind:\n{string.Join('\n', trace)}");
        }
    }

    // From the line where a call begins to the one where it has succeeded.
    private static List<(int Begin, int End)> Calls(string[] trace, string call, string about)
    {
        var calls = new List<(int, int)>();
        for (var i = 0; i < trace.Length; i++)
        {
            if (!trace[i].Contains(" " + call, StringComparison.Ordinal) || !trace[i].Contains(about, StringComparison.Ordinal))
                continue;
            var end = i;
            if (trace[i].Contains("<unfinished", StringComparison.Ordinal))
            {
                end = Array.FindIndex(trace, i, l => Process(l) == Process(trace[i]) && l.Contains($"<... {call[..^1]} resumed>", StringComparison.Ordinal));
            }
            Assert.True(end >= 0 && !trace[end].Contains("= -1", StringComparison.Ordinal), string.Join('\n', trace));
            calls.Add((i, end));
        }
        return calls;
    }

    private static string Process(string line) => line[..line.IndexOf(' ', StringComparison.Ordinal)];

    private static string[] Trace(Scene scene, string mountLines, string script)
    {
        var street = new Street(scene, mountLines);
        street.StartAgent();
        // The first segment is there, with all that making it takes.
        street.Echo("before");
        var child = street.Agent.WaitForChild(Street.MountChild);
        var strace = scene.Start("strace", "-I", "1", "-f", "-y", "-s", "8", "-e", "trace=fsync,fdatasync,write", "-o", scene["trace"], "-p", $"{child}",
            "/bin/sh", "-c", $"cd {street.MountPoint} && {script}; echo $? > {scene["done"]}");
        Eventually.Is(() => File.Exists(scene["done"]) && File.ReadAllText(scene["done"]).EndsWith('\n'), "the end of the writing program", scene.Report);
        strace.Signal(Libc.SIGINT);
        strace.WaitForExit();
        Assert.Equal("0\n", File.ReadAllText(scene["done"]));
        return File.ReadAllLines(scene["trace"]);
    }
}
