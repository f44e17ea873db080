namespace Hikyaku.Simulation;

/// <summary>Seeds that have found a bug: they run first for ever after.</summary>
internal static class KeptSeeds
{
    public static IReadOnlyList<int> All { get; } =
        [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "kept-seeds.txt")).Select(static l => l.Split('#')[0].Trim()).Where(static l => l.Length > 0)
            .Select(static l => int.Parse(l, System.Globalization.CultureInfo.InvariantCulture))];
}
