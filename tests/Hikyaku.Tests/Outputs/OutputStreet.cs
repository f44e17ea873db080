using System.Collections.Concurrent;
using System.Text;
using Hikyaku.Log;
using Hikyaku.Supervision;
using Hikyaku.Tests.Config;
using Hikyaku.Tests.Transfer;
using Hikyaku.Transfer;
using Xunit;

namespace Hikyaku.Tests.Outputs;

/// <summary>A mount's log, and what a configuration makes of its lines.</summary>
internal sealed class OutputStreet : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly int _bell = WrittenLog.MakeBell();
    private readonly List<RunningTransfer> _running = [];

    public OutputStreet()
    {
        Log = new WrittenLog(_bell, Path.Join(Root, "agent", "logs", "m"), new LogOptions { QuotaBytes = 256 << 20 });
    }

    public string Root { get; } = Directory.CreateTempSubdirectory("hikyaku-outputs-").FullName;

    public WrittenLog Log { get; }

    public ConcurrentQueue<string> Reports { get; } = new();

    /// <summary>Runs it with these routes; ROOT in them is this street's folder.</summary>
    public RunningTransfer Run(string routes, Func<TransferSettings, TransferSettings>? change = null)
    {
        var settings = ConfigurationText.Load($$"""
            state: {{Root}}/agent
            host: here
            mounts: { m: { at: /nowhere } }
            routes:
            {{routes.Replace("ROOT", Root, StringComparison.Ordinal)}}
            """);
        var translated = TransferChild.Translate(settings, new Dictionary<string, MountEnds>(StringComparer.Ordinal) { ["m"] = new(_bell) }) with { Report = Reports.Enqueue };
        // Started by the tests' own process, which lives on.
        translated = translated with { Routes = [.. translated.Routes.Select(static r => r with
        {
            Filter = r.Filter is { } f ? f with { Command = f.Command with { Launcher = [] } } : null,
            Pipe = r.Pipe is { } p ? p with { Command = p.Command with { Launcher = [] } } : null,
        })] };
        var running = new RunningTransfer(change?.Invoke(translated) ?? translated);
        _running.Add(running);
        return running;
    }

    public string Read(string name)
    {
        var path = Path.Join(Root, name);
        return File.Exists(path) ? Encoding.UTF8.GetString(File.ReadAllBytes(path)) : "";
    }

    public Task Expect(string name, string text) => Until(() => string.Equals(Read(name), text, StringComparison.Ordinal), () => $"{name} has '{Read(name)}'");

    public async Task Until(Func<bool> condition, Func<string>? state = null)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < Patience, $"waited in vain; {state?.Invoke()}; reports: {string.Join(" | ", Reports)}");
            await Task.Delay(2);
        }
    }

    /// <summary>An executable file with this text.</summary>
    public string Script(string name, string text)
    {
        var path = Path.Join(Root, name);
        File.WriteAllText(path, text);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var running in _running)
            await running.DisposeAsync();
        Log.Dispose();
        Directory.Delete(Root, recursive: true);
    }
}
