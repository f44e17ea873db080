using System.Globalization;
using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd.Posix;

/// <summary>What a mounted directory answers beside what a plain one of the same disk answers, case by case.</summary>
public sealed class PosixTests
{
    private const int Ordinary = 12345;

    // Each is named in docs/SEMANTICS.md, under "What differs". The text is what the mount's line must hold.
    private static readonly Dictionary<string, string> Differences = new(StringComparer.Ordinal)
    {
        ["open_without_a_name"] = "tmpfile=EOPNOTSUPP",
        ["seek_holes"] = "lseek(fd, 0, SEEK_HOLE)=1048577",
        ["allocate_collapse"] = "collapse=EOPNOTSUPP insert=EOPNOTSUPP",
        ["space_before_it_is_kept"] = "flook(fd).st_blocks < 4096:no",
        ["nodes_of_devices"] = "=E",
        ["attributes_extended"] = "set=EOPNOTSUPP get=EOPNOTSUPP list=EOPNOTSUPP remove=EOPNOTSUPP",
        ["control_flags"] = "flags=ENOTTY",
    };

    [RootFact]
    public void Every_call_answers_as_in_a_plain_directory_but_for_what_is_documented() => Compare(0);

    [RootFact]
    public void Every_call_of_an_ordinary_user_answers_as_in_a_plain_directory_but_for_what_is_documented() => Compare(Ordinary);

    [RootFact]
    public void Files_that_are_passed_through_differ_in_nothing_more() => Compare(0, "passthrough: '*'");

    [RootFact]
    public void Each_documented_difference_is_on_the_page()
    {
        var page = File.ReadAllText(Path.Join(Checkout.Root, "docs/SEMANTICS.md"));
        Assert.All(Differences.Keys, name => Assert.Contains($"`{name}`", page, StringComparison.Ordinal));
    }

    private static void Compare(int user, string mountLines = "")
    {
        using var scene = new Scene();
        var street = new Street(scene, mountLines).Open();
        var child = street.Agent.WaitForChild(Street.MountChild);
        var plain = Run(scene, scene.MakeFolder("plain"), user);
        Directory.CreateDirectory(Path.Join(street.MountPoint, "mounted"));
        var mounted = Run(scene, Path.Join(street.MountPoint, "mounted"), user);

        Assert.True(plain.Count > 60, scene.Report());
        Assert.Equal(plain.Keys.Order(StringComparer.Ordinal), mounted.Keys.Order(StringComparer.Ordinal));
        Assert.All(mounted, line => Assert.DoesNotContain(" ended by ", line.Value, StringComparison.Ordinal));
        foreach (var (name, line) in mounted)
        {
            if (Differences.TryGetValue(name, out var difference) && !(mountLines.Length > 0 && plain[name] == line))
                Assert.Contains(difference, line, StringComparison.Ordinal);
            else
                Assert.True(plain[name] == line, $"{name}\nplain:\n{plain[name]}\nmounted:\n{line}");
        }
        // Some of the names are none that .NET could remove.
        Assert.Equal("", scene.ShellOk($"rm -r {scene["plain"]} && cd {street.MountPoint} && rm -r mounted && ls -A"));
        Assert.Equal(child, street.Agent.WaitForChild(Street.MountChild));
        street.AssertFreshLineArrives();
        street.CloseCleanly();
        Assert.Equal("fresh.log", scene.ShellOk($"ls -A {street.MountPoint}"));
    }

    private static Dictionary<string, string> Run(Scene scene, string folder, int user)
    {
        var command = scene.Start(Checkout.Cases, folder, user.ToString(CultureInfo.InvariantCulture));
        command.WaitForExit();
        Assert.True(command.ExitCode is 0, scene.Report());
        return command.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToDictionary(l => l[..l.IndexOf(':', StringComparison.Ordinal)], StringComparer.Ordinal);
    }
}
