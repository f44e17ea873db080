using System.Runtime.CompilerServices;
using System.Text;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>Executes docs/SEMANTICS.md: each section on a mount of its own.</summary>
public sealed class SemanticsPageTests
{
    private const string Mark = "8<----";

    public static TheoryData<string> Sections()
    {
        var sections = new TheoryData<string>();
        foreach (var (title, lines) in Read())
        {
            if (lines.Contains("```sh check"))
                sections.Add(title);
        }
        return sections;
    }

    [Fact]
    public void The_page_has_examples() => Assert.True(Read().Sum(static section => section.Lines.Count(static line => line == "```sh check")) > 15);

    [MountTheory]
    [MemberData(nameof(Sections))]
    public void The_page_tells_the_truth(string section)
    {
        var lines = Read().Single(candidate => candidate.Title == section).Lines;
        using var mount = new LiveMount(options => Configure(options, lines)).Start();
        var seen = 0;
        for (var i = 0; i < lines.Count; i++)
        {
            if (lines[i] is not ("```sh check" or "```sh unmounted" or "```log"))
                continue;
            var block = lines.Skip(i + 1).TakeWhile(static line => line != "```").ToList();
            if (lines[i] == "```sh unmounted")
                mount.Stop();
            if (lines[i] == "```log")
            {
                // Up to here: what earlier blocks without a log block wrote is not compared.
                var records = mount.Records(seen + block.Count);
                if (!block.SequenceEqual(records.Skip(Math.Max(seen, records.Count - block.Count))))
                    SpinWait.SpinUntil(() => block.SequenceEqual((records = mount.Records()).TakeLast(block.Count)), TimeSpan.FromSeconds(10));
                Assert.Equal(block, records.Skip(Math.Max(seen, records.Count - block.Count)));
                seen = records.Count;
                continue;
            }
            var (expected, actual) = (string.Join('\n', block), Transcript(mount, block));
            Assert.True(expected == actual, $"The page says:\n{expected}\n\nIt was:\n{actual}\n\n{mount.Reports}");
            if (lines[i] == "```sh unmounted")
                mount.Start().WaitForAccount();
        }
    }

    // Runs the lines after $ in one shell and puts what each printed below it; an exit status that is not 0 is shown when the page shows one.
    private static string Transcript(LiveMount mount, List<string> block)
    {
        var commands = block.Where(static line => line.StartsWith("$ ", StringComparison.Ordinal)).Select(static line => line[2..]).ToList();
        var script = new StringBuilder();
        foreach (var command in commands)
            script.Append(command).Append("\nprintf '").Append(Mark).Append("%s\\n' $?\n");
        var output = mount.Shell(script.ToString(), mustSucceed: false).Split('\n');
        var transcript = new List<string>();
        var at = 0;
        foreach (var command in commands)
        {
            transcript.Add("$ " + command);
            for (; at < output.Length && !output[at].StartsWith(Mark, StringComparison.Ordinal); at++)
                transcript.Add(output[at]);
            if (at < output.Length && output[at] != Mark + "0" && block.Contains("[" + output[at][Mark.Length..] + "]"))
                transcript.Add("[" + output[at][Mark.Length..] + "]");
            at++;
        }
        return string.Join('\n', transcript);
    }

    private static MountOptions Configure(MountOptions options, List<string> lines)
    {
        // As the configuration has it when it says nothing.
        options = options with { CarriesUnmounted = true };
        if (lines.Contains("keep: none"))
            options = options with { Keep = Keep.None };
        if (lines.Contains("passthrough: \"*.log\""))
            options = options with { PassesThrough = static path => path.EndsWith(".log"u8) };
        if (lines.Contains("quota: 4MiB"))
            options = options with { Log = options.Log with { QuotaBytes = 4 << 20 } };
        return options;
    }

    private static List<(string Title, List<string> Lines)> Read([CallerFilePath] string here = "")
    {
        var page = Path.Combine(Path.GetDirectoryName(here)!, "../../../docs/SEMANTICS.md");
        var sections = new List<(string, List<string>)>();
        foreach (var line in File.ReadLines(page))
        {
            if (line.StartsWith("## ", StringComparison.Ordinal))
                sections.Add((line[3..], []));
            else if (sections.Count > 0)
                sections[^1].Item2.Add(line);
        }
        return sections;
    }
}
