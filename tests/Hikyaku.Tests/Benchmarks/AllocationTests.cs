using Hikyaku.Benchmarks;
using Xunit;

namespace Hikyaku.Tests.Benchmarks;

public sealed class AllocationTests
{
    [Fact]
    public void Every_benchmark_body_allocates_per_line_what_is_committed()
    {
        var expected = AllocationCheck.Expected();
        var different = new List<string>();
        foreach (var make in AllocationCheck.All)
        {
            using var benchmark = make();
            var name = benchmark.GetType().Name;
            var (bytes, _) = AllocationCheck.Measure(benchmark, 2 * LineBenchmark.Lines);
            if (!AllocationCheck.Same(bytes, expected[name]))
                different.Add($"{name} ({benchmark.Bytes} bytes): {bytes} instead of {expected[name]} bytes per line");
        }

        Assert.Empty(different);
    }

    [Fact]
    public void Allocation_of_one_object_per_line_is_seen()
    {
        using var benchmark = new OneObjectPerLine();
        var (bytes, _) = AllocationCheck.Measure(benchmark, LineBenchmark.Lines);
        Assert.False(AllocationCheck.Same(bytes, 0));
    }

    private sealed class OneObjectPerLine : LineBenchmark
    {
        public static object? Last { get; private set; }

        public override void Setup()
        {
            // Nothing to make.
        }

        public override void Run()
        {
            for (var i = 0; i < Lines; i++)
                Last = new object();
        }

        public override void Dispose()
        {
            // Nothing to give back.
        }
    }
}
