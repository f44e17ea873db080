using Hikyaku.Transfer;
using Hikyaku.Transfer.Outputs;
using Hikyaku.Transfer.Plugins;

namespace Hikyaku.Config;

/// <summary>Reads the outputs of this machine: files, and processes.</summary>
/// <param name="fullPath">Reads a path under a key.</param>
/// <param name="written">Where the paths that are written to are noted.</param>
internal sealed class OutputReader(Problems problems, Func<Section, string, WrittenNode, string> fullPath, Action<string, string, WrittenNode> written)
{
    public static readonly string[] FileKeys = ["path", "format", "time", "compress", "retain"];
    public static readonly string[] RetainKeys = ["age", "size"];
    public static readonly string[] PipeKeys = ["command", "framing", "format", "time", "output"];

    public static readonly string[] FilterKeys = ["command", "framing", "timeout"];

    private const string Command = "a program and its arguments, as one text or a list";

    public FileSettings ReadFile(Section section)
    {
        var path = "";
        if (section.Require("path", "the file to append to, or a pattern such as /logs/{host}/{path}") is { } node)
        {
            path = ReadPath(section, "path", node);
            if (OutputFormat.CheckPathTime(path) is { } wrong)
                section.Expect(node, "path", wrong);
        }
        return new FileSettings(path, ReadFormat(section, FileSettings.DefaultFormat), ReadTime(section)) { Slices = ReadSlices(section, path) };
    }

    public PipeSettings ReadPipe(Section section)
    {
        var command = ReadCommand(section);
        var framing = ReadFraming(section);
        string? output = null;
        if (section.Find("output") is { } node)
        {
            output = ReadPath(section, "output", node).Replace("%%", "\0", StringComparison.Ordinal);
            if (output.Contains('%', StringComparison.Ordinal))
                section.Expect(node, "output", "no directives of time (%% is a percent sign)");
            output = output.Replace('\0', '%');
        }
        // What has its length before it needs no line end.
        return new PipeSettings(command, framing, ReadFormat(section, framing is Framing.Length ? "%l" : FileSettings.DefaultFormat), ReadTime(section), output);
    }

    private SliceSettings? ReadSlices(Section section, string path)
    {
        var settings = new SliceSettings { Compress = section.Choice("compress", false, ("none", false), ("gzip", true)) };
        if (section.Find("retain") is { } node)
        {
            var retain = new Section(node, section.Path("retain"), problems, RetainKeys);
            settings = settings with
            {
                Age = retain.Value<TimeSpan?>("age", null, "a duration such as 36h or 30d", static (string t, out TimeSpan? v) =>
                {
                    var ok = Quantity.TryParseDuration(t, out var age);
                    v = age;
                    return ok;
                }),
                Bytes = retain.Value("size", long.MaxValue, "a size such as 10GiB", static (string t, out long v) => Quantity.TryParseSize(t, out v)),
            };
            if (node is WrittenMapping { Entries: [] })
                problems.Add(node, $"{retain.Name} is empty; expected age, or size, or both");
        }
        if (settings == new SliceSettings())
            return null;
        var key = settings.Compress ? "compress" : "retain";
        if (SlicePattern.Problem(path) is { } missing)
            problems.Add(section.Find(key)!, $"{section.Path(key)} needs in {section.Path("path")} {missing}");
        else if (settings.Compress && path.EndsWith(SlicePattern.CompressedSuffix, StringComparison.Ordinal))
            problems.Add(section.Find(key)!, $"{section.Path(key)} adds {SlicePattern.CompressedSuffix} to the names of files, and {section.Path("path")} ends so already");
        return settings;
    }

    public FilterSettings ReadFilter(Section section, bool ofMessages)
    {
        var filter = new FilterSettings(ReadCommand(section))
        {
            Framing = ReadFraming(section),
            Timeout = section.Value("timeout", TimeSpan.FromSeconds(30), "a duration from 1s to 1h, such as 30s",
                static (string t, out TimeSpan v) => Quantity.TryParseDuration(t, out v) && v >= TimeSpan.FromSeconds(1) && v <= TimeSpan.FromHours(1)),
        };
        if (ofMessages && filter.Framing is Framing.Line)
            problems.Add(section.Find("framing") ?? section.Node, $"{section.Path("framing")} must be length on a route with mode: message, for a message may have line ends in it");
        return filter;
    }

    /// <summary>A filter in words.</summary>
    public static string Describe(FilterSettings filter) =>
        $"answered by {filter.Command.Name}{(filter.Framing is Framing.Length ? ", the length before each line" : "")}, within {Quantity.Show(filter.Timeout)}";

    private static Framing ReadFraming(Section section) => section.Choice("framing", Framing.Line, ("line", Framing.Line), ("length", Framing.Length));

    private PluginCommand ReadCommand(Section section)
    {
        var node = section.Require("command", Command);
        IReadOnlyList<string>? words = null;
        if (node is WrittenText text)
        {
            words = PluginCommand.Split(text.Text);
            if (words is null)
                problems.Add(text, $"{section.Path("command")} is {text.Shown}; expected {Command}: a quote or a backslash in it has no end");
        }
        else if (node is not null)
            words = section.Texts("command", Command)?.Select(t => t.Text).ToList();
        if (words is null)
            return new PluginCommand([], []);
        if (PluginCommand.Of(words) is { } command && words.All(w => !w.Contains('\0', StringComparison.Ordinal)))
            return command;
        section.Expect(node!, "command", Command);
        return new PluginCommand([], []);
    }

    private string ReadPath(Section section, string key, WrittenNode node)
    {
        var path = fullPath(section, key, node);
        written(path, section.Path(key), node);
        if (OutputFormat.FirstUnknownPlaceholder(path) is { } placeholder)
            section.Expect(node, key, $"only {{host}}, {{path}} and {{file}} in braces, not {placeholder}");
        else if (path.EndsWith('/'))
            section.Expect(node, key, "a file, not a directory: add {path} or a file name");
        return path;
    }

    private static string ReadFormat(Section section, string otherwise)
    {
        var format = section.Text("format", otherwise, "a format such as \"%T %H %L\"");
        if (OutputFormat.CheckFormat(format) is { } wrong)
            section.Expect(section.Find("format")!, "format", wrong);
        return format;
    }

    private static string ReadTime(Section section)
    {
        var time = section.Text("time", FileSettings.DefaultTime, "a time layout such as \"%F %T\"");
        if (OutputFormat.CheckTime(time) is { } wrong)
            section.Expect(section.Find("time")!, "time", wrong);
        return time;
    }
}
