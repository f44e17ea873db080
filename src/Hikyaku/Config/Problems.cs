namespace Hikyaku.Config;

/// <summary>What is wrong with one configuration file; gathered, so that all of it can be shown at once.</summary>
internal sealed class Problems(string file)
{
    private readonly List<(int Line, int Column, string Text)> _found = [];

    public bool Any => _found.Count > 0;

    public void Add(WrittenNode at, string text) => Add(at.Line, at.Column, text);

    /// <summary>What was said of a place already is not said again.</summary>
    public void Add(int line, int column, string text)
    {
        if (!_found.Contains((line, column, text)))
            _found.Add((line, column, text));
    }

    /// <summary>Throws when anything was found: one line per problem, <c>file:line:column: text</c>, in the order of the file.</summary>
    public void ThrowIfAny()
    {
        if (Any)
            throw new ConfigurationException([.. _found.OrderBy(p => p.Line).ThenBy(p => p.Column).Select(p => $"{file}:{p.Line}:{p.Column}: {p.Text}")]);
    }
}

/// <summary>A configuration that cannot be used. Every message stands alone and names the place.</summary>
internal sealed class ConfigurationException(IReadOnlyList<string> messages) : Exception(string.Join('\n', messages))
{
    public ConfigurationException(string message) : this([message])
    {
    }

    public IReadOnlyList<string> Messages { get; } = messages;
}
