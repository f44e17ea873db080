using System.Globalization;
using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd.Chaos;

/// <summary>chaos.c at work in one directory: writers of every kind. The judge of what arrived is the same program.</summary>
internal sealed class Writers
{
    private readonly Command _command;

    public Writers(Scene scene, string directory, int first, int count, int seed)
    {
        Result = scene[$"writers-{first}.txt"];
        _command = scene.Start(Checkout.Chaos, "write", "--dir", directory, "--first", Text(first), "--writers", Text(count), "--seed", Text(seed), "--out", Result);
    }

    /// <summary>The file that says what was accepted, once they have stopped.</summary>
    public string Result { get; }

    public bool IsRunning => !_command.HasExited;

    public void Stop(TimeSpan patience)
    {
        _command.Signal(Libc.SIGTERM);
        _command.WaitForExit(patience);
        Assert.True(File.Exists(Result), _command.Errors);
    }

    /// <summary>One line for each writer.</summary>
    public IReadOnlyList<Accepted> Read() => [.. File.ReadAllLines(Result).Select(line =>
    {
        var words = line.Split(' ');
        long After(string word) => long.Parse(words[Array.IndexOf(words, word) + 1], CultureInfo.InvariantCulture);
        return new Accepted(line, After("lines"), After("bytes"), After("refused"), TimeSpan.FromMicroseconds(After("longest") / 1000.0), words[^1]);
    })];

    /// <summary>Asserts that the files hold what these writers were told was accepted: each line once, whole, and in the order of its writer.</summary>
    public static void AssertArrived(Scene scene, IEnumerable<Writers> writers, IEnumerable<string> files)
    {
        string[] arguments = ["check", .. writers.SelectMany(w => new[] { "--expect", w.Result }), .. files.SelectMany(f => new[] { "--file", f })];
        var judge = scene.Start(Checkout.Chaos, arguments);
        judge.WaitForExit(TimeSpan.FromMinutes(5));
        Assert.True(judge.ExitCode is 0, $"{string.Join(' ', files)}:\n{judge.Said}\n{scene.Report()}");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <param name="Line">As the program says it.</param>
/// <param name="Refused">Writes that failed with ENOSPC and were tried again.</param>
/// <param name="Error">The one that ended the writer, or "none".</param>
internal sealed record Accepted(string Line, long Lines, long Bytes, long Refused, TimeSpan Longest, string Error);
