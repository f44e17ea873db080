using System.Text.Json;
using System.Xml.Linq;
using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd.Bench;

/// <summary>The measurements of the whole system, each on tiny input: they run, every line arrives, and their tables say what was asked.</summary>
public sealed class ComparisonTests
{
    private static readonly string[] Scripts = ["run", "scale", "latency", "soak", "memory", "rotate", "picture"];

    // Of the table of lines, with what is before the first and behind the last.
    private const int Columns = 14;

    [RootFact]
    public void Systems_are_measured_side_by_side_and_drawn()
    {
        using var scene = new Scene(200);
        var table = Measure(scene, "run");
        Assert.All(new[] { "plain ", "null FUSE daemon", "Hikyaku direct" }, system => Assert.Equal(16, table.Split('\n').Count(line => line.Contains($" | {system}", StringComparison.Ordinal) && line.Split('|').Length == Columns)));
        Assert.Contains("| null FUSE daemon | Hikyaku direct |", table, StringComparison.Ordinal);
        Assert.Matches(@"direct: write\(2\) p50 at 128 B against the null FUSE daemon \| at most 1\.10 \| \d+\.\d\d \| (yes|no) \|", table);
        Assert.Contains("Hikyaku direct", Draw(scene, "run"), StringComparison.Ordinal);
    }

    [RootFact]
    public void Everything_that_can_grow_is_measured_and_drawn()
    {
        using var scene = new Scene(200);
        var table = Measure(scene, "scale");
        Assert.All(new[] { "writers", "files", "routes", "receivers", "agents", "compress", "backlog" }, what => Assert.Contains($"| {what} | system |", table, StringComparison.Ordinal));
        Assert.Equal(7, table.Split('\n').Count(static line => line.Contains("| Hikyaku direct |", StringComparison.Ordinal) && line.EndsWith("| 0/0/0 |", StringComparison.Ordinal)));
        Assert.Contains("receivers", Draw(scene, "scale"), StringComparison.Ordinal);
    }

    [RootFact]
    public void Single_lines_are_timed_alone_and_beside_others()
    {
        using var scene = new Scene(200);
        var table = Measure(scene, "latency");
        Assert.All(new[] { "none", "1000", "50000" }, others => Assert.Contains($"| Hikyaku direct | {others} |", table, StringComparison.Ordinal));
    }

    [RootFact]
    public void A_soak_samples_and_judges_every_line()
    {
        using var scene = new Scene(200);
        var table = Measure(scene, "soak");
        Assert.Contains("lost 0, twice 0, reordered 0, damaged 0, failed 0", table, StringComparison.Ordinal);
        Assert.Contains("| agent transfer | private |", table, StringComparison.Ordinal);
    }

    [RootFact]
    public void Memory_stands_beside_that_of_empty_programs()
    {
        using var scene = new Scene(300);
        var table = Measure(scene, "memory");
        Assert.Contains("| empty program | idle | 3 |", table, StringComparison.Ordinal);
        Assert.Contains("| Hikyaku direct | most under full load | 3 |", table, StringComparison.Ordinal);
    }

    [RootFact]
    public void Rotations_are_measured()
    {
        using var scene = new Scene(200);
        var table = Measure(scene, "rotate");
        Assert.All(new[] { "rename", "rename, delete", "copytruncate" }, method => Assert.Contains($"| {method} | Hikyaku direct | ", table, StringComparison.Ordinal));
    }

    [Fact]
    public void Each_explains_itself_and_refuses_what_it_does_not_know()
    {
        using var scene = new Scene();
        foreach (var script in Scripts)
        {
            var help = Start(scene, script, "--help");
            help.WaitForExit();
            Assert.True(help.ExitCode == 0 && help.Output.StartsWith($"bench/compare/{script} ", StringComparison.Ordinal), help.Said);
        }
        var wrong = Start(scene, "run", "--nonsense", "1");
        wrong.WaitForExit();
        Assert.True(wrong.ExitCode == 2 && wrong.Errors.StartsWith("--nonsense: no such option", StringComparison.Ordinal), wrong.Said);
    }

    private static string Measure(Scene scene, string script)
    {
        var command = Start(scene, script, "--quick", "--out", scene["measured"]);
        command.WaitForExit(TimeSpan.FromSeconds(300));
        Assert.True(command.ExitCode == 0, command.Said);
        using var raw = JsonDocument.Parse(File.ReadAllText(scene["measured/raw.json"]));
        Assert.Equal(script, raw.RootElement.GetProperty("command").GetString());
        Assert.False(Directory.Exists(scene["measured/work"]));
        return File.ReadAllText(scene["measured/table.md"]);
    }

    private static string Draw(Scene scene, string script)
    {
        var command = Start(scene, "picture", scene["measured/raw.json"], "--out", scene[$"{script}.svg"]);
        command.WaitForExit();
        Assert.True(command.ExitCode == 0, command.Said);
        return XDocument.Load(scene[$"{script}.svg"]).Root!.Value;
    }

    // What the solution has built is what runs: nothing is built here but C programs and the empty one.
    private static Command Start(Scene scene, string script, params string[] arguments)
    {
        var built = Path.GetRelativePath(Path.Join(Checkout.Root, "tests/Hikyaku.EndToEnd"), AppContext.BaseDirectory);
        return scene.Start("/usr/bin/env", [$"HIKYAKU_BENCHMARKS={Path.Join(Checkout.Root, "bench/Hikyaku.Benchmarks", built, "Hikyaku.Benchmarks.dll")}", $"HIKYAKU_PROGRAM={Checkout.Program}",
            Path.Join(Checkout.Root, "bench/compare", script), .. arguments]);
    }
}
