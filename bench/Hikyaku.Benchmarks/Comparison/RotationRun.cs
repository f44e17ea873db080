using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The same load and the same rotation through each system in turn; every run has a new system and new directories.</summary>
internal sealed class RotationRun(RotationOptions options, CancellationToken cancel)
{
    public const int Writers = 4;
    private const int LineBytes = 128;

    // Nothing new for so long: nothing will come any more. The others look at directories every second, some every ten.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(12);
    private static readonly TimeSpan PatienceWhenComplete = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly LoadProgram _load = new(options.Load, cancel);
    private readonly RotationReport _report = new();
    private readonly JsonArray _raw = [];

    /// <summary>False if a line was lost, twice, reordered or damaged by Hikyaku.</summary>
    public bool Run()
    {
        Directory.CreateDirectory(options.Out);
        var systems = new List<(string Name, Func<string, MeasuredSystem> Open)>
        {
            ("Hikyaku", work => new Street(work, options.Hikyaku, Rotation.Pattern)),
        };
        systems.AddRange(Rsyslog.Variants(options.Peers, Say));
        systems.AddRange(SyslogNg.Variants(options.Peers, Say));
        var whole = true;
        for (var round = 1; round <= options.Rounds; round++)
        {
            foreach (var method in Enum.GetValues<RotationMethod>())
            {
                foreach (var (name, open) in systems)
                {
                    Say($"round {round} of {options.Rounds}: {Rotation.Name(method)}, {name}");
                    var isWhole = Measure(name, open, method);
                    whole &= isWhole || name != "Hikyaku";
                }
            }
        }

        var table = _report.Table(options);
        Console.WriteLine(table);
        File.WriteAllText(Path.Combine(options.Out, "table.md"), table);
        File.WriteAllText(Path.Combine(options.Out, "raw.json"), _raw.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
        Say($"raw figures: {options.Out}");
        return whole;
    }

    private bool Measure(string name, Func<string, MeasuredSystem> open, RotationMethod method)
    {
        var work = Directory.CreateDirectory(options.Work).FullName;
        try
        {
            using var system = open(work);
            var expected = Path.Combine(work, "expected.json");
            var rotation = new Rotation(method, system.Directory);
            var written = _load.Write(system.Directory, Writers, options.Rate / Writers, options.Seconds, LineBytes, expected,
                writers => rotation.Run(writers, TimeSpan.FromSeconds(options.Seconds), cancel))["total"]!;
            var seconds = AwaitTheLast(system.Output!, (long)written["bytes"]!);
            var check = File.Exists(system.Output) ? _load.Check(expected, system.Output) : throw new ComparisonException($"{name}: nothing arrived at all");
            // What was cut off between the copy and the truncation is in no file any more.
            var cut = method == RotationMethod.CopyTruncate ? (long)_load.Check(expected, rotation.Files())["lost"]! : 0;
            var run = new JsonObject
            {
                ["system"] = name, ["method"] = Rotation.Name(method), ["written"] = written.DeepClone(), ["check"] = check.DeepClone(), ["cut"] = (double)cut, ["seconds"] = seconds, ["died"] = system.HasDied,
            };
            _raw.Add(run);
            _report.Add(run);
            return (long)written["failed"]! == 0 && RotationReport.Faults.All(f => (long)check[f]! == 0);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    // Seconds from now until the last byte, or 0 if it is there; what comes later than the limit does not count.
    private double AwaitTheLast(string output, long bytes)
    {
        var start = Stopwatch.GetTimestamp();
        var (last, since) = (-1L, start);
        while (true)
        {
            var file = new FileInfo(output);
            var length = file.Exists ? file.Length : 0;
            if (length != last)
                (last, since) = (length, last < 0 ? start : Stopwatch.GetTimestamp());
            if (Stopwatch.GetElapsedTime(since) > (length == bytes ? PatienceWhenComplete : Patience) || Stopwatch.GetElapsedTime(start) > Limit)
                return Stopwatch.GetElapsedTime(start, since).TotalSeconds;
            if (cancel.WaitHandle.WaitOne(2))
                cancel.ThrowIfCancellationRequested();
        }
    }

    private void Say(string text)
    {
        cancel.ThrowIfCancellationRequested();
        Console.Error.WriteLine(text);
    }
}
