using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Runs the load program and reads its figures.</summary>
internal sealed class LoadProgram(string program, CancellationToken cancel)
{
    /// <summary>Writes lines into a directory; the result is as load prints it. The figures also go to <paramref name="file"/>, for <see cref="Check"/>.</summary>
    public JsonNode Write(string directory, int writers, int lines, int bytes, string file) =>
        Run("write", "--dir", directory, "--writers", Text(writers), "--lines", Text(lines / writers), "--bytes", Text(bytes), "--out", file).Result;

    /// <summary>Writes at a rate, lines a second and writer, for so many seconds; something else is done meanwhile, with the process that a signal makes open its files anew.</summary>
    public JsonNode Write(string directory, int writers, int rate, int seconds, int bytes, string file, Action<int> meanwhile) =>
        Run(meanwhile, "write", "--dir", directory, "--writers", Text(writers), "--rate", Text(rate), "--seconds", Text(seconds), "--bytes", Text(bytes), "--out", file).Result;

    /// <summary>Compares what arrived, in one file or in several of which the older come first, with what was written.</summary>
    public JsonNode Check(string file, params IEnumerable<string> outputs) => Run(["check", "--expect", file, .. outputs.SelectMany(static o => new[] { "--file", o })]).Result;

    /// <summary>Single lines on an idle system, from before write(2) until visible in <paramref name="output"/>.</summary>
    public JsonNode Latency(string directory, string output, int count)
    {
        var (result, good) = Run("latency", "--dir", directory, "--out", output, "--count", Text(count));
        return good ? result : throw new ComparisonException("a line did not arrive");
    }

    private (JsonNode Result, bool Good) Run(params string[] arguments) => Run(static _ => { }, arguments);

    private (JsonNode Result, bool Good) Run(Action<int> meanwhile, params string[] arguments)
    {
        cancel.ThrowIfCancellationRequested();
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        using var ending = cancel.Register(static p => ((Process)p!).Kill(entireProcessTree: true), process);
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        meanwhile(process.Id);
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        cancel.ThrowIfCancellationRequested();
        if (!text.StartsWith('{'))
            throw new ComparisonException($"load {string.Join(' ', arguments)}: {errors.Result}");
        return (JsonNode.Parse(text)!, process.ExitCode == 0);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
