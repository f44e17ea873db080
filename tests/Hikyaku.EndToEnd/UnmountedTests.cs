using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>Programs that go on writing below the mount point while nothing is mounted there.</summary>
public sealed partial class UnmountedTests(ITestOutputHelper output)
{
    private const int ToAppend = 0x80441;

    [MountFact]
    public void What_is_written_while_nothing_is_mounted_arrives_once_and_the_status_tells_of_it()
    {
        using var scene = new Scene();
        var street = new Street(scene).Open();
        street.Echo("one");
        street.WaitForLine("one");
        Assert.True(street.Agent.Stop() == 0, scene.Report());
        scene.ShellOk($"cd {street.MountPoint}; echo two >> access.log; mkdir d; echo three > d/new.log; ln -s /etc/hostname link");
        street.StartAgent();
        street.WaitForLine("two");
        street.WaitForLine("three");
        Eventually.Is(() => scene.RunHikyaku("status", "-c", street.AgentFile).Output.Contains("2 files grew while nothing was mounted, 10 B", StringComparison.Ordinal), "the status", scene.Report);
        Assert.Contains("2 files grew by 10 bytes while nothing was mounted; that is carried", street.Agent.Errors, StringComparison.Ordinal);
        street.Echo("four");
        street.AssertFreshLineArrives();
        Assert.Equal(["four", "one", "three", "two"], Lines(street).Where(static line => !line.StartsWith("fresh", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        street.CloseCleanly();
        Assert.Empty(Directory.GetFiles(street.MountPoint, ".hikyaku-*"));
    }

    [MountFact]
    public void It_can_be_switched_off()
    {
        using var scene = new Scene();
        var street = new Street(scene, "unmounted: ignore").Open();
        street.Echo("one");
        Assert.True(street.Agent.Stop() == 0, scene.Report());
        scene.ShellOk($"echo two >> {street.MountPoint}/access.log");
        street.StartAgent();
        street.AssertFreshLineArrives();
        Assert.Equal(2, Lines(street).Length);
        street.CloseCleanly();
    }

    [MountTheory]
    [InlineData("")]
    [InlineData("keep: none")]
    [InlineData("passthrough: '*.log'")]
    public void Rotation_while_nothing_is_mounted_loses_nothing_and_repeats_nothing(string mountLines)
    {
        using var scene = new Scene();
        var street = new Street(scene, mountLines, routeLines: "match: '*.log'").Open();
        street.Echo("one");
        Assert.True(street.Agent.Stop() == 0, scene.Report());
        // By renaming, with the older one compressed; by copying and cutting.
        scene.ShellOk($$"""
            cd {{street.MountPoint}}
            echo two >> access.log; mv access.log access.log.1; echo three > access.log
            """);
        street.StartAgent();
        street.WaitForLine("three");
        street.Echo("four");
        street.WaitForLine("four");
        Assert.True(street.Agent.Stop() == 0, scene.Report());
        scene.ShellOk($$"""
            cd {{street.MountPoint}}
            gzip access.log.1
            cp access.log access.log.2; : > access.log; echo five >> access.log
            """);
        street.StartAgent();
        street.WaitForLine("five");
        street.AssertFreshLineArrives();
        Assert.Equal(["five", "four", "one", "three", "two"], Lines(street).Where(static line => !line.StartsWith("fresh", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        street.CloseCleanly();
    }

    [MountFact]
    public void Killing_everything_and_writing_on_costs_nothing()
    {
        using var scene = new Scene(60 + (Kills.Count * 12));
        var street = new Street(scene).Open();
        var kills = new Kills();
        var expected = new List<string>();
        for (var i = 0; i < Kills.Count; i++)
        {
            Append(street, [.. Enumerable.Range(0, 500).Select(k => $"mounted {i} {k}")], expected);
            foreach (var pid in ProcessTable.Naming(street.AgentFile).Concat(ProcessTable.Naming(street.AgentState)).Distinct())
                _ = Libc.Kill(pid, Libc.SIGKILL);
            Eventually.Is(() => street.Agent.HasExited && !ProcessTable.Naming(street.AgentState).Any(), "the end of the agent", scene.Report);
            scene.ShellOk($"umount -l {street.MountPoint}");
            Append(street, [.. Enumerable.Range(0, 500).Select(k => $"unmounted {i} {k}")], expected);
            street.StartAgent();
            if (i % 2 == 1)
                kills.WaitForTheMoment();
        }
        street.WaitForLine(expected[^1]);
        Eventually.Is(() => Lines(street).Length >= expected.Count, "all lines", scene.Report);
        Assert.Equal(expected, Lines(street));
        // What can be read back has each line once too.
        Assert.Equal(expected.Order(StringComparer.Ordinal), File.ReadAllLines(Path.Join(street.MountPoint, "a.log")).Order(StringComparer.Ordinal));
        street.CloseCleanly();
    }

    [MountTheory]
    [InlineData(1)]
    [InlineData(40)]
    public void A_writer_that_never_stops_loses_nothing_while_the_mount_comes_and_goes(int linesPerOpen)
    {
        using var scene = new Scene(200);
        var street = new Street(scene).Open();
        var (accepted, doubtful) = (new List<string>(), new HashSet<string>());
        using var enough = new CancellationTokenSource();
        var writer = new Thread(() => Write(Path.Join(street.MountPoint, "a.log"), linesPerOpen, accepted, doubtful, enough.Token));
        writer.Start();
        for (var i = 0; i < 10; i++)
        {
            WaitForMore(accepted, 200, scene);
            Assert.True(street.Agent.Stop() == 0, scene.Report());
            WaitForMore(accepted, 200, scene);
            street.StartAgent();
        }
        WaitForMore(accepted, 200, scene);
        enough.Cancel();
        writer.Join();
        street.AssertFreshLineArrives();
        // A program that had a file open from before the mount is looked at once more when it has closed it.
        var lines = Array.Empty<string>();
        Eventually.Is(() => (lines = Lines(street)).Length > accepted.Count, "all lines", () => $"{lines.Length} of {accepted.Count}; {string.Join(' ', accepted.Except(lines).Take(10))}\n{scene.Report()}");
        lines = [.. lines.Where(static line => !line.StartsWith("fresh", StringComparison.Ordinal))];
        output.WriteLine($"{accepted.Count} lines accepted, {doubtful.Count} answered with an error");
        Assert.True(lines.Length == lines.Distinct().Count(), $"twice: {string.Join(' ', lines.GroupBy(static line => line).Where(static group => group.Count() > 1).Select(static group => group.Key).Take(20))}\n{scene.Report()}");
        Assert.Empty(accepted.Except(lines));
        Assert.Empty(lines.Except(accepted).Except(doubtful));
        street.CloseCleanly();
    }

    private static string[] Lines(Street street) => street.Arrived().Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static void Append(Street street, string[] lines, List<string> expected)
    {
        var file = open(Path.Join(street.MountPoint, "a.log"), ToAppend, 0x1A4);
        foreach (var line in lines)
            Assert.Equal(line.Length + 1, write(file, Encoding.ASCII.GetBytes(line + "\n"), line.Length + 1));
        Assert.Equal(0, close(file));
        expected.AddRange(lines);
    }

    private static void WaitForMore(List<string> accepted, int lines, Scene scene)
    {
        int Count()
        {
            lock (accepted)
                return accepted.Count;
        }
        var before = Count();
        Eventually.Is(() => Count() >= before + lines, "more lines", scene.Report);
    }

    private static void Write(string path, int linesPerOpen, List<string> accepted, HashSet<string> doubtful, CancellationToken enough)
    {
        for (var number = 0; !enough.IsCancellationRequested;)
        {
            var file = open(path, ToAppend, 0x1A4);
            for (var k = 0; k < linesPerOpen && file >= 0; k++)
            {
                var line = $"line {number++}";
                var isAccepted = write(file, Encoding.ASCII.GetBytes(line + "\n"), line.Length + 1) == line.Length + 1;
                if (!isAccepted)
                {
                    doubtful.Add(line);
                    break;
                }
                lock (accepted)
                    accepted.Add(line);
            }
            if (file >= 0)
                _ = close(file);
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc")]
    private static partial nint write(int file, byte[] bytes, nint count);

    [LibraryImport("libc")]
    private static partial int close(int file);
}
