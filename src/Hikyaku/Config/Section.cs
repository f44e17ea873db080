namespace Hikyaku.Config;

/// <summary>One mapping of a native file while it is read: unknown keys are reported at once, values by the method that wants them.</summary>
internal sealed class Section
{
    private readonly Dictionary<string, WrittenNode> _values = [];
    private readonly Problems _problems;

    /// <param name="name">The keys that lead here, as in <c>mounts.apache</c>; empty at the top.</param>
    public Section(WrittenNode node, string name, Problems problems, params string[] known)
    {
        Node = node;
        Name = name;
        _problems = problems;
        if (node is not WrittenMapping mapping)
        {
            problems.Add(node, $"{(name is "" ? "the file" : name)} is {node.Shown}; expected {(known.Length is 0 ? "a mapping" : "the keys " + string.Join(", ", known))}");
            return;
        }
        foreach (var (key, value) in mapping.Entries)
            if (known.Length is 0 || Array.Exists(known, k => k == key.Text))
                _values.Add(key.Text, value);
            else
                problems.Add(key, UnknownKey(key.Text, name, known));
    }

    public WrittenNode Node { get; }

    public string Name { get; }

    public IEnumerable<(string Key, WrittenNode Value)> Entries => _values.Select(v => (v.Key, v.Value));

    public static string UnknownKey(string key, string section, IReadOnlyCollection<string> known)
    {
        var where = section is "" ? "at the top" : $"in {section}";
        var guess = Nearest.To(key, known) is { } nearest ? $"; did you mean '{nearest}'?" : ";";
        return $"unknown key '{key}' {where}{guess} known here: {string.Join(", ", known)}";
    }

    /// <summary>The value of the key; null when the key is absent or stands there empty.</summary>
    public WrittenNode? Find(string key) => _values.GetValueOrDefault(key) is { } node and not WrittenText { IsNothing: true } ? node : null;

    /// <summary>Complains of keys that stand there empty: what protects must not be taken for absent.</summary>
    public void RefuseEmpty(params string[] keys)
    {
        foreach (var key in keys)
            if (_values.GetValueOrDefault(key) is WrittenText { IsNothing: true } empty)
                _problems.Add(empty, $"{Path(key)} is empty; expected a value, or no {Path(key)} at all");
    }

    public string Path(string key) => Name is "" ? key : $"{Name}.{key}";

    public void Expect(WrittenNode at, string key, string expected) => _problems.Add(at, $"{Path(key)} is {at.Shown}; expected {expected}");

    /// <summary>A required key: complains at the mapping itself when it is missing.</summary>
    public WrittenNode? Require(string key, string expected)
    {
        var node = Find(key);
        if (node is null && (Node is WrittenMapping || _values.ContainsKey(key)))
            _problems.Add(_values.GetValueOrDefault(key) ?? Node, $"{Path(key)} is missing; expected {expected}");
        return node;
    }

    public delegate bool Parse<T>(string text, out T value);

    /// <summary>A single value, read by <paramref name="parse"/>; <paramref name="otherwise"/> when absent or, after a complaint, unusable.</summary>
    public T Value<T>(string key, T otherwise, string expected, Parse<T> parse)
    {
        if (Find(key) is not { } node)
            return otherwise;
        if (node is WrittenText text && parse(text.Text, out var value))
            return value;
        Expect(node, key, expected);
        return otherwise;
    }

    public string Text(string key, string otherwise, string expected = "a text") =>
        Value(key, otherwise, expected, static (string t, out string v) => (v = t) is not "");

    public T Choice<T>(string key, T otherwise, params (string Word, T Value)[] choices) =>
        Value(key, otherwise, OneOf(choices), (string t, out T v) => TryChoose(t, choices, out v));

    /// <summary>One text or a list of texts, each with its place; null when absent.</summary>
    public IReadOnlyList<WrittenText>? Texts(string key, string expected)
    {
        switch (Find(key))
        {
            case null:
                return null;
            case WrittenText text:
                return [text];
            case WrittenList list:
                foreach (var item in list.Items)
                    if (item is not WrittenText { Text: not "" })
                        Expect(item, key, expected);
                return [.. list.Items.OfType<WrittenText>().Where(t => t.Text is not "")];
            case { } node:
                Expect(node, key, expected);
                return [];
        }
    }

    public static string OneOf<T>((string Word, T Value)[] choices) => string.Join(" or ", choices.Select(c => c.Word));

    public static bool TryChoose<T>(string text, (string Word, T Value)[] choices, out T value)
    {
        var found = Array.FindIndex(choices, c => c.Word == text);
        value = found < 0 ? default! : choices[found].Value;
        return found >= 0;
    }
}
