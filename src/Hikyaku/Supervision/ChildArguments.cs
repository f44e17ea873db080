using System.Globalization;

namespace Hikyaku.Supervision;

/// <summary>The arguments of our own children: <c>key=value</c> words, a key may come more than once.</summary>
internal sealed class ChildArguments(IEnumerable<string> words)
{
    private readonly ILookup<string, string> _values = words.ToLookup(w => w[..w.IndexOf('=', StringComparison.Ordinal)], w => w[(w.IndexOf('=', StringComparison.Ordinal) + 1)..], StringComparer.Ordinal);

    public string this[string key] => _values[key].First();

    public IReadOnlyList<string> All(string key) => [.. _values[key]];

    public string? Find(string key) => _values[key].FirstOrDefault();

    public int Number(string key) => int.Parse(this[key], CultureInfo.InvariantCulture);

    public long LongNumber(string key) => long.Parse(this[key], CultureInfo.InvariantCulture);

    /// <summary>One word; numbers and dates are written the same in every culture.</summary>
    public static string Word(string key, IFormattable value) => $"{key}={value.ToString(null, CultureInfo.InvariantCulture)}";

    public static string Word(string key, string value) => $"{key}={value}";
}
