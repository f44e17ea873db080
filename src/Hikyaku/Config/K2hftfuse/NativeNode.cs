using System.Globalization;

namespace Hikyaku.Config.K2hftfuse;

/// <summary>Makes nodes of a native configuration that keep the place of what they were made of.</summary>
internal static class NativeNode
{
    public static WrittenText Text(WrittenNode at, string text) => new(at.Line, at.Column, text, true);

    public static WrittenText Number(WrittenNode at, long number, string unit = "") => Text(at, number.ToString(CultureInfo.InvariantCulture) + unit);

    public static WrittenList List(WrittenNode at, IEnumerable<WrittenNode> items) => new(at.Line, at.Column, [.. items]);

    /// <summary>The path of an output, in which a percent sign begins a part of the time.</summary>
    public static WrittenText Path(WrittenNode at, string path, string folder) =>
        Text(at, System.IO.Path.GetFullPath(path, folder).Replace("%", "%%", StringComparison.Ordinal));

    /// <summary>A mapping of the entries that have a value.</summary>
    public static WrittenMapping Mapping(WrittenNode at, params (string Key, WrittenNode? Value)[] entries) =>
        new(at.Line, at.Column, [.. entries.Where(e => e.Value is not null).Select(e => (Text(at, e.Key), e.Value!))]);

    /// <summary>The list, or null for one without items.</summary>
    public static WrittenList? ListOrNone(WrittenNode at, IReadOnlyCollection<WrittenNode> items) => items.Count is 0 ? null : List(at, items);
}
