using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Writers in steps, so that opening and closing their files is no part of what is measured: open, write, close.</summary>
internal sealed class LoadRun(Process process, CancellationToken cancel) : IDisposable
{
    private readonly CancellationTokenRegistration _ending = cancel.Register(static p => ((Process)p!).Kill(entireProcessTree: true), process);
    private readonly Task<string> _errors = process.StandardError.ReadToEndAsync(CancellationToken.None);

    public void AwaitOpen() => Read("open");

    public void Write()
    {
        process.StandardInput.Write('\n');
        process.StandardInput.Flush();
    }

    /// <summary>Waits until all is written; as load prints it. The files stay open.</summary>
    public JsonNode AwaitWritten() => JsonNode.Parse(Read("{"))!;

    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        process.StandardInput.Close();
        process.WaitForExit();
        _ending.Dispose();
        process.Dispose();
    }

    private string Read(string beginning)
    {
        var line = process.StandardOutput.ReadLine();
        cancel.ThrowIfCancellationRequested();
        return line?.StartsWith(beginning, StringComparison.Ordinal) == true ? line : throw new ComparisonException($"load: {_errors.Result}");
    }
}
