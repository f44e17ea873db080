using System.Globalization;
using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>
/// 50,000 lines a second while their files are rotated every half second, in every way people rotate files: by writers that open
/// their files anew when they are told to (in <c>told/</c>), and by writers that never hear of it (in <c>untold/</c>).
/// Whatever becomes of a file, each line arrives once, in order, under the name its file was opened by.
/// </summary>
public sealed class RotationTests(ITestOutputHelper output)
{
    private const int Rotations = 10;
    private const int WritersOfAKind = 2;
    private const int LinesPerSecondAndWriter = 12_500;
    private const string Direct = "";
    private const string Passed = "passthrough: '*.log'";

    [MountTheory]
    [InlineData(Direct)]
    [InlineData(Passed)]
    public void Renamed_files_lose_nothing_and_hold_every_line_together(string mountLines)
    {
        using var scene = new Scene();
        var street = Open(scene, mountLines);

        var (told, untold) = RotateUnderLoad(street, "mv $f $f.$n && : >> $f");

        AssertArrived(street, told, untold);
        AssertKept(street, told, "told", Rotations, n => $".{n}");
        AssertKept(street, untold, "untold", Rotations, n => $".{n}");
        street.CloseCleanly();
        Assert.Equal(2 * WritersOfAKind * (Rotations + 1), Directory.GetFiles(street.MountPoint, "*", SearchOption.AllDirectories).Length);
    }

    [MountTheory]
    [InlineData(Direct)]
    [InlineData(Passed)]
    public void Renamed_and_deleted_files_lose_nothing_though_writers_have_them_open(string mountLines)
    {
        using var scene = new Scene();
        var street = Open(scene, mountLines);

        var (told, untold) = RotateUnderLoad(street, "mv $f $f.$n && rm $f.$n && : >> $f");

        AssertArrived(street, told, untold);
        street.CloseCleanly();
        // Names of files that were open without one included.
        Assert.Equal(2 * WritersOfAKind, Directory.GetFiles(street.MountPoint, "*", SearchOption.AllDirectories).Length);
    }

    [MountTheory]
    [InlineData(Direct)]
    [InlineData(Passed)]
    public void Files_that_others_are_moved_over_lose_nothing(string mountLines)
    {
        using var scene = new Scene();
        var street = Open(scene, mountLines);

        var (told, untold) = RotateUnderLoad(street, "echo $n > $f.new && mv $f.new $f");

        AssertArrived(street, told, untold);
        street.CloseCleanly();
        Assert.All(Directory.GetFiles(Path.Join(street.MountPoint, "told")), f => Assert.StartsWith($"{Rotations}\n", File.ReadAllText(f), StringComparison.Ordinal));
        Assert.All(Directory.GetFiles(Path.Join(street.MountPoint, "untold")), f => Assert.Equal($"{Rotations}\n", File.ReadAllText(f)));
    }

    [MountTheory]
    [InlineData(Direct)]
    [InlineData(Passed)]
    public void Logrotate_that_renames_tells_and_compresses_loses_nothing(string mountLines)
    {
        using var scene = new Scene();
        var street = Open(scene, mountLines);

        // The signal comes first and gzip at once after it, whether or not the writers are through with the file.
        var (told, untold) = Logrotate(street, "create", "compress");

        AssertArrived(street, told, untold);
        Assert.Equal(2 * WritersOfAKind * Rotations, Directory.GetFiles(street.MountPoint, "*.gz", SearchOption.AllDirectories).Length);
        street.CloseCleanly();
    }

    [MountTheory]
    [InlineData(Direct)]
    [InlineData(Passed)]
    public void Logrotate_that_copies_and_truncates_loses_nothing_though_its_copies_do(string mountLines)
    {
        using var scene = new Scene();
        var street = Open(scene, mountLines);

        var (told, untold) = Logrotate(street, "copytruncate");

        AssertArrived(street, told, untold);
        foreach (var (load, folder) in new[] { (told, "told"), (untold, "untold") })
        {
            var kept = Load.Verdict(scene, load, Generations(street, folder, Rotations, n => $".{Rotations + 1 - n}"));
            output.WriteLine($"{folder}: {kept.Lost} lines are in no copy");
            Assert.Equal(kept with { Twice = 0, Reordered = 0, Damaged = 0 }, kept);
        }
        street.CloseCleanly();
    }

    // One output file for each source: what arrives under another name than the one opened is seen.
    private static Street Open(Scene scene, string mountLines) => new Street(scene, mountLines, output: scene["in/{path}"], routeLines: "match: [ 'w?.log' ]").Open();

    private (LoadResult Told, LoadResult Untold) Logrotate(Street street, params string[] how)
    {
        var scene = street.Scene;
        var configuration = scene.Write("logrotate.conf", $$"""
            {{street.MountPoint}}/told/w?.log {{street.MountPoint}}/untold/w?.log {
                rotate {{Rotations + 1}}
                {{string.Join('\n', how)}}
                sharedscripts
                postrotate
                    kill -USR1 $TOLD
                endscript
            }
            """);
        File.SetUnixFileMode(configuration, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return RotateUnderLoad(street, "true", $"export TOLD=$told; /usr/sbin/logrotate -f -s {scene["logrotate.state"]} {configuration}", renames: !how.Contains("copytruncate"));
    }

    /// <param name="eachFile">Shell text for each file <c>$f</c> of the <c>$n</c>th rotation.</param>
    /// <param name="afterwards">Shell text after all files.</param>
    /// <param name="renames">Whether the told writers must have opened a file anew before the next rotation finds lines in it.</param>
    private (LoadResult Told, LoadResult Untold) RotateUnderLoad(Street street, string eachFile, string afterwards = "kill -USR1 $told", bool renames = true)
    {
        var scene = street.Scene;
        Load Start(string folder) =>
            Load.Start(scene, Directory.CreateDirectory(Path.Join(street.MountPoint, folder)).FullName, WritersOfAKind, rate: LinesPerSecondAndWriter);

        var toldLoad = Start("told");
        var untoldLoad = Start("untold");
        // Not before each file that is going to be rotated has got lines of its own.
        var rotation = scene.Start("/bin/sh", "-ec", $$"""
            cd {{street.MountPoint}}
            told={{toldLoad.Pid}}
            for n in $(seq {{Rotations}}); do
                sleep 0.5
                for f in told/w0.log told/w1.log; do until [ $(wc -l < $f) -gt 1 ]; do sleep 0.01; done; done
                for f in told/w0.log told/w1.log untold/w0.log untold/w1.log; do {{eachFile}}; done
                {{afterwards}}
            done
            for f in told/w0.log told/w1.log; do until [ $(wc -l < $f) -gt 1 ]; do sleep 0.01; done; done
            """);
        rotation.WaitForExit();
        Assert.True(rotation.ExitCode is 0, scene.Report());
        var (told, untold) = (toldLoad.Stop(), untoldLoad.Stop());

        output.WriteLine($"{told.Lines + untold.Lines} lines, {told.LinesPerSecond + untold.LinesPerSecond:F0} a second, longest write {Max(told.Longest, untold.Longest).TotalMilliseconds:F0} ms");
        Assert.True(told.Failed + untold.Failed is 0, $"failed writes: {told.Errors} {untold.Errors}\n{scene.Report()}");
        // Without it, one signal may come before another has been looked at, and they are one.
        Assert.InRange(told.Reopened, renames ? WritersOfAKind * Rotations : 1, WritersOfAKind * Rotations);
        Assert.Equal(0, untold.Reopened);
        return (told, untold);
    }

    private static void AssertArrived(Street street, LoadResult told, LoadResult untold)
    {
        var arrived = street.Scene["in"];
        string[] Files(string folder) => [.. Enumerable.Range(0, WritersOfAKind).Select(k => Path.Join(arrived, folder, $"w{k}.log"))];
        Load.AssertArrived(street.Scene, told, Files("told"));
        Load.AssertArrived(street.Scene, untold, Files("untold"));
    }

    private static void AssertKept(Street street, LoadResult load, string folder, int generations, Func<int, string> ending) =>
        Assert.Equal(new LoadVerdict(load.Lines, 0, 0, 0, 0), Load.Verdict(street.Scene, load, Generations(street, folder, generations, ending)));

    // The files of each writer, the oldest first.
    private static string[] Generations(Street street, string folder, int generations, Func<int, string> ending) =>
        [.. from k in Enumerable.Range(0, WritersOfAKind)
            from n in Enumerable.Range(1, generations + 1)
            select Path.Join(street.MountPoint, folder, string.Create(CultureInfo.InvariantCulture, $"w{k}.log{(n > generations ? "" : ending(n))}"))];

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
