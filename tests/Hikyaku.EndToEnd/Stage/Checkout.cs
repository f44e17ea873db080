using System.Diagnostics;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>
/// The programs under test and beside it, built once per test run. HIKYAKU_PROGRAM names another executable than the one
/// that ./hikyaku builds.
/// </summary>
internal static class Checkout
{
    private static readonly Lazy<string> BuiltProgram = new(BuildProgram);
    private static readonly Lazy<string> BuiltLoad = new(() => Compile("bench/compare/load.c"));
    private static readonly Lazy<string> BuiltChaos = new(() => Compile("tests/Hikyaku.EndToEnd/Chaos/chaos.c"));
    private static readonly Lazy<string> BuiltAgree = new(() => Compile("tests/Hikyaku.EndToEnd/Posix/agree.c"));
    private static readonly Lazy<string> BuiltCases = new(() => Compile("tests/Hikyaku.EndToEnd/Posix/cases.c"));

    public static string Root { get; } = FindRoot();

    /// <summary>The executable, without the script that builds it.</summary>
    public static string Program => BuiltProgram.Value;

    /// <summary>bench/compare/load.c, compiled.</summary>
    public static string Load => BuiltLoad.Value;

    /// <summary>Chaos/chaos.c, compiled.</summary>
    public static string Chaos => BuiltChaos.Value;

    /// <summary>Posix/agree.c, compiled.</summary>
    public static string Agree => BuiltAgree.Value;

    /// <summary>Posix/cases.c, compiled.</summary>
    public static string Cases => BuiltCases.Value;

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Join(folder.FullName, "Hikyaku.slnx")))
                return folder.FullName;
        throw new InvalidOperationException($"No Hikyaku.slnx above {AppContext.BaseDirectory}.");
    }

    private static string BuildProgram()
    {
        if (Environment.GetEnvironmentVariable("HIKYAKU_PROGRAM") is { Length: > 0 } given)
            return Path.GetFullPath(given);
        Run(Path.Join(Root, "hikyaku"), "version");
        return Path.Join(Root, ".build/hikyaku/hikyaku");
    }

    private static string Compile(string file)
    {
        var source = Path.Join(Root, file);
        var program = Path.Join(Root, ".build", Path.GetFileNameWithoutExtension(file));
        Directory.CreateDirectory(Path.Join(Root, ".build"));
        if (!File.Exists(program) || File.GetLastWriteTimeUtc(program) < File.GetLastWriteTimeUtc(source))
            Run("cc", "-O2", "-pthread", "-o", program, source);
        return program;
    }

    private static void Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}:\n{output.Result}{errors}");
    }
}
