using System.Diagnostics;
using Xunit;

namespace Hikyaku.Tests.Outputs;

/// <summary>The programs of docs/PLUGINS.md do what the page says.</summary>
public sealed class ExampleTests
{
    [Theory]
    [InlineData("shell-filter.sh", "sh")]
    [InlineData("shell-pipe.sh", "sh")]
    [InlineData("filter.py", "python")]
    [InlineData("pipe.py", "python")]
    [InlineData("filter.cs", "csharp")]
    public void The_page_shows_the_files(string name, string language)
    {
        var page = File.ReadAllText(Path.Join(Repository(), "docs/PLUGINS.md"));
        var behind = page[page.IndexOf($"`{name}`", StringComparison.Ordinal)..];
        Assert.StartsWith(File.ReadAllText(Example(name)) + "```", behind[(behind.IndexOf($"```{language}\n", StringComparison.Ordinal) + 4 + language.Length)..], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_filter_in_shell()
    {
        await using var street = new OutputStreet();
        street.Run($"  - {{ filter: {{ command: [\"{Example("shell-filter.sh")}\"] }}, to: {{ file: {{ path: ROOT/out }} }} }}");
        street.Log.Write("x", 1, "paid with 1234567890123456\nx DEBUG y\nDEBUG\n");
        await street.Expect("out", "paid with ************3456\nDEBUG\n");
    }

    [Fact]
    public async Task The_pipe_in_shell()
    {
        await using var street = new OutputStreet();
        await using (var agent = street.Run($"  - to: {{ pipe: {{ command: [\"{Example("shell-pipe.sh")}\"], output: ROOT/out }} }}"))
        {
            street.Log.Write("x", 1, "a 1\nb 2\na 3\n");
            await street.Until(() => agent.Process.Status().Pumps is [{ LinesOut: 3 }]);
        }

        Assert.Equal(["2 a", "1 b"], street.Read("out").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static l => l.Trim()));
    }

    [Fact]
    public async Task The_filter_in_python()
    {
        await using var street = new OutputStreet();
        street.Run($"  - {{ mode: message, filter: {{ command: [python3, \"{Example("filter.py")}\"], framing: length }}, to: {{ file: {{ path: ROOT/out }} }} }}");
        street.Log.Write("x", 1, "a\nb");
        street.Log.Write("x", 1, "\n");
        street.Log.Write("x", 1, "\0|");
        await street.Expect("out", Hash("a\nb") + " a\nb" + Hash("\0|") + " \0|");
    }

    [Fact]
    public async Task The_pipe_in_python()
    {
        await using var street = new OutputStreet();
        street.Run($"  - to: {{ pipe: {{ command: [python3, -u, \"{Example("pipe.py")}\"], format: \"%H %F %L\", output: ROOT/out }} }}");
        street.Log.Write("x.log", 1, "an \"event\" of words\n");
        await street.Expect("out", "{\"host\": \"here\", \"path\": \"x.log\", \"text\": \"an \\\"event\\\" of words\"}\n");
    }

    [Fact]
    public async Task The_filter_in_csharp()
    {
        await using var street = new OutputStreet();
        File.Copy(Example("filter.cs"), Path.Join(street.Root, "Program.cs"));
        File.WriteAllText(Path.Join(street.Root, "filter.csproj"), "<Project Sdk=\"Microsoft.NET.Sdk\"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings></PropertyGroup></Project>");
        using (var build = Process.Start(new ProcessStartInfo("dotnet", ["build", street.Root, "-c", "Release", "-v", "q", "--nologo"]) { RedirectStandardOutput = true })!)
        {
            var said = await build.StandardOutput.ReadToEndAsync();
            await build.WaitForExitAsync();
            Assert.True(build.ExitCode == 0, said);
        }

        street.Run("  - { filter: { command: [dotnet, ROOT/bin/Release/net10.0/filter.dll] }, to: { file: { path: ROOT/out } } }");
        street.Log.Write("x", 1, "one\n# two\nthree\n");
        await street.Expect("out", "ONE\nTHREE\n");
    }

    private static string Hash(string text) => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)));

    private static string Example(string name) => Path.Join(Repository(), "examples/plugins", name);

    private static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Join(folder, "Hikyaku.slnx")))
            folder = Path.GetDirectoryName(folder.TrimEnd('/')) ?? throw new InvalidOperationException("not inside the repository");
        return folder;
    }
}
