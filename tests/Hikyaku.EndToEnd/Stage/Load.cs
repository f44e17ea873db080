using System.Globalization;
using System.Text.Json;
using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>bench/compare/load.c at work in one directory: writers that number their lines, and the judge of what arrived.</summary>
internal sealed class Load
{
    private readonly Scene _scene;
    private readonly Command _command;
    private readonly string _result;

    private Load(Scene scene, Command command, string result) => (_scene, _command, _result) = (scene, command, result);

    /// <summary>Starts writers: for so many lines each, or until <see cref="Stop"/>.</summary>
    public static Load Start(Scene scene, string directory, int writers, int bytes = 128, int? lines = null, string mode = "line", int rate = 0, int failures = 1)
    {
        var result = scene[$"{Guid.NewGuid():N}.json"];
        var amount = lines is { } n ? new[] { "--lines", Text(n) } : ["--seconds", "1000"];
        var command = scene.Start(Checkout.Load, ["write", "--dir", directory, "--writers", Text(writers), "--bytes", Text(bytes), "--mode", mode,
            "--rate", Text(rate), "--failures", Text(failures), "--out", result, .. amount]);
        return new Load(scene, command, result);
    }

    public bool IsRunning => !_command.HasExited;

    /// <summary>Whom to send SIGHUP or SIGUSR1, so that the writers open their files anew.</summary>
    public int Pid => _command.Pid;

    /// <summary>Ends the writers after the line each is at.</summary>
    public LoadResult Stop()
    {
        _command.Signal(Libc.SIGTERM);
        return Wait();
    }

    /// <summary>Waits for the last line.</summary>
    public LoadResult Wait()
    {
        _command.WaitForExit();
        if (!File.Exists(_result))
            throw new InvalidOperationException($"The writers have failed.\n{_scene.Report()}");
        using var json = JsonDocument.Parse(File.ReadAllText(_result));
        var total = json.RootElement.GetProperty("total");
        return new LoadResult(_result, total.GetProperty("lines").GetInt64(), total.GetProperty("bytes").GetInt64(), total.GetProperty("failed").GetInt64(), total.GetProperty("reopened").GetInt64(),
            TimeSpan.FromMicroseconds(total.GetProperty("longest_ns").GetInt64() / 1000.0), total.GetProperty("lines_per_s").GetDouble(), total.GetProperty("errors").ToString());
    }

    /// <summary>Waits until all that was accepted has arrived, and asserts that it is that and nothing else, each line once and in order.</summary>
    public static void AssertArrived(Scene scene, LoadResult result, params string[] files)
    {
        Eventually.Is(() => FileLength.Of(files) >= result.Bytes, $"{result.Bytes} bytes in {string.Join(' ', files)}",
            () => $"There are {FileLength.Of(files)}.\n{Judge(scene, result, files).Output}{scene.Report()}", TimeSpan.FromSeconds(60));
        // A line whose write failed may arrive as well and stand before the last ones: then there are bytes enough, but not all.
        var judge = Judge(scene, result, files);
        for (var i = 0; judge.ExitCode != 0 && result.Failed > 0 && i < 20; i++)
        {
            Thread.Sleep(100);
            judge = Judge(scene, result, files);
        }
        Assert.True(judge.ExitCode == 0, $"{judge.Said}\n{scene.Report()}");
    }

    /// <summary>Compares files, the older of a writer before the newer, with what was written; for those who want more than all or nothing.</summary>
    public static LoadVerdict Verdict(Scene scene, LoadResult result, params string[] files)
    {
        using var json = JsonDocument.Parse(Judge(scene, result, files).Output);
        long Count(string name) => json.RootElement.GetProperty(name).GetInt64();
        return new LoadVerdict(Count("lines"), Count("lost"), Count("twice"), Count("reordered"), Count("damaged"));
    }

    private static Command Judge(Scene scene, LoadResult result, string[] files)
    {
        var judge = scene.Start(Checkout.Load, ["check", "--expect", result.File, .. files.SelectMany(f => new[] { "--file", f })]);
        judge.WaitForExit();
        return judge;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What the writers say they have written.</summary>
/// <param name="Bytes">Accepted, newlines included.</param>
/// <param name="Reopened">How often a writer has opened its file anew.</param>
/// <param name="Longest">The longest write(2): the longest pause of any writer.</param>
/// <param name="Errors">Names of errors with how often, as JSON.</param>
internal sealed record LoadResult(string File, long Lines, long Bytes, long Failed, long Reopened, TimeSpan Longest, double LinesPerSecond, string Errors);

/// <summary>What the judge says, in lines.</summary>
/// <param name="Lines">In the files.</param>
internal readonly record struct LoadVerdict(long Lines, long Lost, long Twice, long Reordered, long Damaged);
