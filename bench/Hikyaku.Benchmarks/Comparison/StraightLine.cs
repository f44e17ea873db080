namespace Hikyaku.Benchmarks.Comparison;

/// <summary>The line that lies nearest to some points, by least squares.</summary>
internal readonly record struct StraightLine(double AtZero, double Slope)
{
    /// <summary>At least two points with different x.</summary>
    public static StraightLine Through(IReadOnlyCollection<(double X, double Y)> points)
    {
        var (x, y) = (points.Average(static p => p.X), points.Average(static p => p.Y));
        var slope = points.Sum(p => (p.X - x) * (p.Y - y)) / points.Sum(p => (p.X - x) * (p.X - x));
        return new StraightLine(y - slope * x, slope);
    }

    public double At(double x) => AtZero + Slope * x;
}
