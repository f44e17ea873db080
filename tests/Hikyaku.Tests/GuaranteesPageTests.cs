using System.Text.RegularExpressions;
using Xunit;

namespace Hikyaku.Tests;

public sealed partial class GuaranteesPageTests
{
    [Theory]
    [InlineData("GUARANTEES.md", 30)]
    [InlineData("K2HFTFUSE.md", 20)]
    public void Every_promise_names_tests_and_every_test_named_exists(string name, int least)
    {
        var root = Repository.Root;
        var page = File.ReadAllText(Path.Combine(root, "docs", name));
        var named = TestName().Matches(page).Select(static m => m.Groups[1].Value).ToHashSet(StringComparer.Ordinal);
        var there = new HashSet<string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(root, "tests"), "*Tests.cs", SearchOption.AllDirectories))
        {
            foreach (Match test in TestMethod().Matches(File.ReadAllText(file)))
                there.Add($"{Path.GetFileNameWithoutExtension(file)}.{test.Groups[1].Value}");
        }

        Assert.True(named.Count > least, $"only {named.Count} tests are named");
        Assert.Equal([], named.Except(there).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("GUARANTEES.md")]
    [InlineData("K2HFTFUSE.md")]
    public void No_row_of_a_table_of_promises_is_without_a_test(string name)
    {
        var rows = 0;
        var isPromise = false;
        foreach (var line in File.ReadLines(Path.Combine(Repository.Root, "docs", name)))
        {
            if (!line.StartsWith('|'))
                isPromise = false;
            else if (line.EndsWith("| shown by |", StringComparison.Ordinal))
                isPromise = true;
            else if (isPromise && !line.StartsWith("|---", StringComparison.Ordinal))
                Assert.True(++rows > 0 && TestName().IsMatch(line), $"no test is named: {line}");
        }

        Assert.True(rows > 20, $"only {rows} rows were found");
    }

    [GeneratedRegex(@"`(\w+Tests\.\w+)`")]
    private static partial Regex TestName();

    // An attribute that makes a test, whatever stands between it and the method.
    [GeneratedRegex(@"\[\w*(?:Fact|Theory)[^\n]*\]\s*(?:\[[^\n]*\]\s*)*public (?:async )?(?:void|Task) (\w+)\(")]
    private static partial Regex TestMethod();
}
