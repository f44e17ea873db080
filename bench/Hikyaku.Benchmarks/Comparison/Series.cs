using System.Globalization;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The same figure from several rounds.</summary>
internal sealed class Series(params IEnumerable<double> values)
{
    private readonly List<double> _values = [.. values];

    public int Count => _values.Count;

    public double Sum => _values.Sum();

    public double Least => _values.Min();

    public double Most => _values.Max();

    public double Median => _values.Median(static v => v);

    public void Add(double value) => _values.Add(value);

    /// <summary>Round by round.</summary>
    public Series With(Series other, Func<double, double, double> combine) => new(_values.Zip(other._values, combine));

    public Series Times(double factor) => new(_values.Select(v => v * factor));

    /// <summary>Median, and in brackets the least and the most.</summary>
    public string Show(string format)
    {
        string Text(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        return _values.Count switch
        {
            0 => "-",
            _ when Text(Least) == Text(Most) => Text(_values[0]),
            _ => $"{Text(Median)} ({Text(Least)}-{Text(Most)})",
        };
    }
}

internal static class Middle
{
    /// <summary>Not a number if there is nothing.</summary>
    public static double Median<T>(this IEnumerable<T> all, Func<T, double> value)
    {
        var sorted = all.Select(value).Order().ToArray();
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
