using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Hikyaku.Benchmarks;

/// <summary>
/// Compares what each benchmark allocates per line with the committed numbers. Times are printed for the context only: they depend
/// on the machine, allocations do not.
/// </summary>
public static class AllocationCheck
{
    // The runtime compiles in steps, and only the last one leaves out the allocations that are none: so the least of several rounds counts.
    private const int Rounds = 10;

    /// <summary>Every body there is.</summary>
    public static IReadOnlyList<Func<LineBenchmark>> All { get; } =
    [
        static () => new Append { Bytes = 10 },
        static () => new Append { Bytes = 128 },
        static () => new Append { Bytes = 1024 },
        static () => new Append { Bytes = 4096 },
        static () => new DispatchWrite(),
        static () => new MountWrite(),
        static () => new ReadBack(),
        static () => new AssembleLines(),
        static () => new PackFull(),
        static () => new PackCompact(),
        static () => new Unpack(),
        static () => new Format(),
        static () => new ReadExtent(),
        static () => new PackBlock(),
        static () => new UnpackBlock(),
        static () => new FormatBlock(),
        static () => new PackBlock { Bytes = 10 },
        static () => new UnpackBlock { Bytes = 10 },
        static () => new FormatBlock { Bytes = 10 },
        static () => new Send(),
        static () => new Receive(),
        static () => new TenRegex(),
        static () => new TenPosix(),
        static () => new TwoRewrites(),
    ];

    /// <summary>The committed bytes per line, by the benchmark's name.</summary>
    public static IReadOnlyDictionary<string, double> Expected()
    {
        using var file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "expected-allocations.json")));
        return file.RootElement.EnumerateObject().ToDictionary(static p => p.Name, static p => p.Value.GetDouble(), StringComparer.Ordinal);
    }

    /// <summary>Bytes allocated per line, and nanoseconds per line, in the best of several rounds of <paramref name="lines"/> lines.</summary>
    public static (double Bytes, double Nanoseconds) Measure(LineBenchmark benchmark, int lines)
    {
        benchmark.Setup();
        var runs = Math.Max(1, lines / LineBenchmark.Lines);
        var bytes = long.MaxValue;
        var time = TimeSpan.MaxValue;
        for (var round = 0; round < Rounds; round++)
        {
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var start = Stopwatch.GetTimestamp();
            for (var run = 0; run < runs; run++)
                benchmark.Run();
            var took = Stopwatch.GetElapsedTime(start);
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            bytes = Math.Min(bytes, allocated);
            time = took < time ? took : time;
        }

        var count = (double)runs * LineBenchmark.Lines;
        return (bytes / count, time.TotalNanoseconds / count);
    }

    /// <summary>Prints the table; false if any number differs.</summary>
    public static bool Run(int lines, TextWriter output)
    {
        var expected = Expected();
        var good = true;
        output.WriteLine("| benchmark | bytes | ns/line | allocated/line | expected |");
        output.WriteLine("|---|---:|---:|---:|---:|");
        foreach (var make in All)
        {
            using var benchmark = make();
            var name = benchmark.GetType().Name;
            var (bytes, nanoseconds) = Measure(benchmark, lines);
            var wanted = expected.TryGetValue(name, out var number) ? number : double.NaN;
            var same = Same(bytes, wanted);
            good &= same;
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {name} | {benchmark.Bytes} | {nanoseconds:F0} | {bytes:0.##} | {wanted}{(same ? "" : " **differs**")} |"));
        }

        return good;
    }

    /// <summary>Equal up to what belongs to a run as a whole: less than a byte per line.</summary>
    public static bool Same(double measured, double expected) => Math.Abs(measured - expected) < 1;
}
