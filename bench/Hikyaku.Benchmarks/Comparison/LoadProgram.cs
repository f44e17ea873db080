using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Runs the load program and reads its figures.</summary>
internal sealed class LoadProgram(string program, CancellationToken cancel)
{
    /// <summary>Opens the files that lines are to be written to; see <see cref="LoadRun"/>.</summary>
    public LoadRun Open(string directory, Shape shape, int lines, string file) =>
        new(Start(["write", "--dir", directory, "--lines", Text(lines / shape.Writers), "--out", file, "--steps", "1", .. Options(shape)], feed: true), cancel);

    /// <summary>Writes lines into a directory; the result is as load prints it. The figures also go to <paramref name="file"/>, for <see cref="Check"/>.</summary>
    public JsonNode Write(string directory, Shape shape, int lines, string file) =>
        Run(static _ => { }, ["write", "--dir", directory, "--lines", Text(lines / shape.Writers), "--out", file, .. Options(shape)]).Result;

    /// <summary>Writes at a rate, lines a second and writer, for so many seconds; something else is done meanwhile, with the process that a signal ends or makes open its files anew.</summary>
    public JsonNode Write(string directory, Shape shape, int rate, int seconds, string file, Action<int> meanwhile) =>
        Run(meanwhile, ["write", "--dir", directory, "--rate", Text(rate), "--seconds", Text(seconds), "--out", file, .. Options(shape)]).Result;

    /// <summary>Compares what arrived, in one file or in several of which the older come first, with what was written.</summary>
    public JsonNode Check(string file, params IEnumerable<string> outputs) => Run(static _ => { }, ["check", "--expect", file, .. outputs.SelectMany(static o => new[] { "--file", o })]).Result;

    /// <summary>A judge to whom lines are fed as they come, before it is known how many they will be.</summary>
    public Process CheckAsTheyCome(string file, Shape shape) =>
        Start(["check", "--expect", file, "--file", "-", .. Options(shape)], feed: true);

    /// <summary>Single lines, from before write(2) until visible in <paramref name="output"/>, which is looked at every so many microseconds.</summary>
    public JsonNode Latency(string directory, string output, int count, int look = 0)
    {
        var (result, good) = Run(static _ => { }, ["latency", "--dir", directory, "--out", output, "--count", Text(count), "--look-us", Text(look)]);
        return good ? result : throw new ComparisonException("a line did not arrive");
    }

    private static string[] Options(Shape shape) => ["--writers", Text(shape.Writers), "--bytes", Text(shape.Bytes), "--mode", shape.Mode, "--files", Text(shape.Files)];

    private Process Start(string[] arguments, bool feed = false) =>
        Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = feed })!;

    private (JsonNode Result, bool Good) Run(Action<int> meanwhile, string[] arguments)
    {
        cancel.ThrowIfCancellationRequested();
        using var process = Start(arguments);
        using var ending = cancel.Register(static p => ((Process)p!).Kill(entireProcessTree: true), process);
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            meanwhile(process.Id);
        }
        catch
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancel.ThrowIfCancellationRequested();
        if (!text.StartsWith('{'))
            throw new ComparisonException($"load {string.Join(' ', arguments)}: {errors.Result}");
        return (JsonNode.Parse(text)!, process.ExitCode == 0);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
