using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>One measurement from its command line to its table: where things lie, and what has been measured so far.</summary>
internal sealed class Session : IDisposable
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true };

    private readonly JsonArray _records = [];
    private readonly List<string> _remarks = [];
    private readonly string _loadBefore = LoadAverage();
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly string _name;
    private readonly string _root = Environment.GetEnvironmentVariable("HIKYAKU_ROOT") ?? Environment.CurrentDirectory;

    /// <summary>Takes the options that all measurements have; there must be no others left.</summary>
    public Session(string name, Arguments arguments, bool quick, CancellationToken cancel)
    {
        var build = Path.Combine(_root, ".build", "compare");
        (_name, Quick, Cancel) = (name, quick, cancel);
        Out = Path.GetFullPath(arguments.Text("--out") ?? Path.Combine(build, $"{name}-{DateTime.Now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)}"));
        var peers = arguments.Text("--peers") ?? (quick ? null : Path.Combine(build, "peers"));
        PeersFolder = peers is null ? null : Path.GetFullPath(peers);
        arguments.End();
        Tools = Environment.GetEnvironmentVariable("HIKYAKU_TOOLS") ?? Path.Combine(build, "tools");
        // Not the script beside the sources: it would build anew whatever changes meanwhile.
        Hikyaku = Environment.GetEnvironmentVariable("HIKYAKU_PROGRAM") is { Length: > 0 } given ? Path.GetFullPath(given) : Path.Combine(_root, ".build", "hikyaku", "hikyaku");
        Directory.CreateDirectory(Work);
        OpenFiles.AllowMost();
        Load = new LoadProgram(Path.Combine(Tools, "load"), cancel);
    }

    public bool Quick { get; }

    public CancellationToken Cancel { get; }

    /// <summary>Where the table and the raw figures go.</summary>
    public string Out { get; }

    /// <summary>Where everything runs; removed at the end.</summary>
    public string Work => Path.Combine(Out, "work");

    /// <summary>Where packages of the others are unpacked; null if the others are not to be measured.</summary>
    public string? PeersFolder { get; }

    /// <summary>The directory of the C programs.</summary>
    public string Tools { get; }

    public string Hikyaku { get; }

    public LoadProgram Load { get; }

    public IEnumerable<JsonObject> Records => _records.Select(static r => r!.AsObject());

    /// <summary>A new empty directory for one system.</summary>
    public string NewFolder()
    {
        var folder = Path.Combine(Work, Guid.NewGuid().ToString("N")[..8]);
        return Directory.CreateDirectory(folder).FullName;
    }

    /// <summary>Returns the record as it will be read from the file: a number is one whatever its type was.</summary>
    public JsonObject Keep(string kind, JsonObject figures)
    {
        figures["kind"] = kind;
        var record = JsonNode.Parse(figures.ToJsonString())!.AsObject();
        _records.Add(record);
        return record;
    }

    /// <summary>Something that has to stand beside the table.</summary>
    public void Remark(string text)
    {
        _remarks.Add(text);
        Say(text);
    }

    public void Say(string text)
    {
        Cancel.ThrowIfCancellationRequested();
        Console.Error.WriteLine($"{Stopwatch.GetElapsedTime(_began).TotalSeconds,6:0} s  {text}");
    }

    /// <summary>Shows the table and puts it and the raw figures on disk.</summary>
    public void Finish(string title, string conditions, string tables)
    {
        var machine = $"{Machine()}; load average {_loadBefore} before, {LoadAverage()} after";
        var remarks = string.Concat(_remarks.Distinct().Select(static r => $"* {r}\n"));
        var text = $"### {title}\n\n{machine}. {conditions} Median (least-most).\n\n{(remarks.Length > 0 ? remarks + "\n" : "")}{tables}";
        Console.WriteLine(text);
        File.WriteAllText(Path.Combine(Out, "table.md"), text);
        var raw = new JsonObject { ["command"] = _name, ["machine"] = machine, ["conditions"] = conditions, ["records"] = _records.DeepClone() };
        File.WriteAllText(Path.Combine(Out, "raw.json"), raw.ToJsonString(Readable));
        Say($"raw figures: {Out}");
    }

    public void Dispose()
    {
        if (Directory.Exists(Work))
            Directory.Delete(Work, recursive: true);
    }

    private static string LoadAverage() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    private static string Machine()
    {
        var model = File.ReadLines("/proc/cpuinfo").FirstOrDefault(static l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(": ")[1] ?? "unknown CPU";
        return $"{Environment.ProcessorCount} CPUs ({model}), kernel {Environment.OSVersion.Version}, {DateTime.Now.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}";
    }
}
