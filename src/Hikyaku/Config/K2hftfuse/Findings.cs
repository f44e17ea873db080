namespace Hikyaku.Config.K2hftfuse;

/// <summary>What is to be said of one file of K2HFTFUSE: what is wrong, and which keys have no meaning here.</summary>
internal sealed class Findings(Problems problems)
{
    private readonly SortedDictionary<string, SortedSet<string>> _meaningless = new(StringComparer.Ordinal);
    private readonly List<string> _notices = [];

    public Problems Problems { get; } = problems;

    /// <summary>One sentence each; keys without a meaning are named once, with the reason.</summary>
    public IReadOnlyList<string> Notices(string file) =>
    [
        .. _notices,
        .. _meaningless.Count is 0 ? Array.Empty<string>() :
            [$"{file}: these keys have no meaning here and are ignored: {string.Join("; ", _meaningless.Select(m => $"{string.Join(", ", m.Value)} ({m.Key})"))}"],
    ];

    /// <summary>A section of the file; its keys that have no meaning are noted.</summary>
    public Section Section(WrittenNode node, string name)
    {
        var section = new Section(node, name, Problems, K2hftfuseKeys.Of(name));
        foreach (var (_, key, why) in K2hftfuseKeys.All.Where(k => k.Section == name && k.Meaningless is not null))
            if (section.Entries.Any(e => e.Key == key))
                Meaningless(key, why!);
        return section;
    }

    /// <summary>All sections of one name: one mapping, or a list of them.</summary>
    public IReadOnlyList<Section> Sections(WrittenNode? node, string name)
    {
        if (node is null or WrittenMapping or WrittenList)
            return [.. (node is WrittenList list ? list.Items : node is null ? [] : [node]).Select(n => Section(n, name))];
        Problems.Add(node, $"{name} is {node.Shown}; expected {{ {string.Join(", ", K2hftfuseKeys.Of(name))} }}, or a list of such");
        return [];
    }

    public void Notice(string notice)
    {
        if (!_notices.Contains(notice))
            _notices.Add(notice);
    }

    /// <summary>The one text of a key; null when there is none, and, after a complaint, for anything but one text.</summary>
    public static WrittenText? Text(Section section, string key)
    {
        var node = section.Find(key);
        if (node is not (null or WrittenText))
            section.Expect(node, key, "one value; in an INI file a key stands in a section once");
        return node as WrittenText;
    }

    public static bool On(Section section, string key) =>
        section.Value(key, false, "yes or no", static (string text, out bool on) => (on = text.ToUpperInvariant() is "ON" or "YES" or "Y") || text.ToUpperInvariant() is "OFF" or "NO" or "N");

    public static long Number(Section section, string key) =>
        section.Value(key, 0, "a number, 0 or more", static (string text, out long value) => long.TryParse(text, System.Globalization.NumberStyles.None, null, out value) && value < 1L << 40);

    private void Meaningless(string key, string why)
    {
        if (!_meaningless.TryGetValue(why, out var keys))
            _meaningless.Add(why, keys = new SortedSet<string>(StringComparer.Ordinal));
        keys.Add(key);
    }
}
