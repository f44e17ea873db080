using System.Globalization;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The same figure from several rounds.</summary>
internal sealed class Series
{
    private readonly List<double> _values = [];

    public void Add(double value) => _values.Add(value);

    public double Sum => _values.Sum();

    public double Median
    {
        get
        {
            var sorted = _values.Order().ToArray();
            return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
        }
    }

    /// <summary>Median, and in brackets the least and the most.</summary>
    public string Show(string format)
    {
        string Text(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        return _values.Count switch
        {
            0 => "-",
            _ when Text(_values.Min()) == Text(_values.Max()) => Text(_values[0]),
            _ => $"{Text(Median)} ({Text(_values.Min())}-{Text(_values.Max())})",
        };
    }
}
