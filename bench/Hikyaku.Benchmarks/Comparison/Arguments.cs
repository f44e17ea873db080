using System.Globalization;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A command line: what is asked for is taken out of it, and nothing may be left.</summary>
internal sealed class Arguments(params IEnumerable<string> given)
{
    private readonly List<string> _left = [.. given];

    public bool Flag(string name) => _left.Remove(name);

    public string? Text(string name)
    {
        var at = _left.IndexOf(name);
        if (at < 0)
            return null;
        if (at + 1 == _left.Count)
            throw new UsageException($"{name}: a value is missing");
        var value = _left[at + 1];
        _left.RemoveRange(at, 2);
        return value;
    }

    /// <summary>A whole number of at least one.</summary>
    public int? Number(string name)
    {
        if (Text(name) is not { } text)
            return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number : throw new UsageException($"{name} {text}: expected a number above 0");
    }

    /// <summary>The next word that belongs to no option; null if there is none.</summary>
    public string? Word()
    {
        if (_left is not [var word, ..] || word.StartsWith('-'))
            return null;
        _left.RemoveAt(0);
        return word;
    }

    public void End()
    {
        if (_left is [var unknown, ..])
            throw new UsageException($"{unknown}: no such option");
    }
}
