using System.Globalization;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>What bench/compare/run was asked for, and where the programs are that it built.</summary>
internal sealed record ComparisonOptions
{
    public const string Usage = """
        bench/compare/run [--quick] [--rounds N] [--lines N] [--pairs N] [--out DIR]
            --quick     one round of few lines: shows that everything works, not how fast it is
            --rounds N  rounds of all sizes and systems in turn (default 5)
            --lines N   lines of a run, all writers together; a quarter of it for 4096 bytes (default 200000)
            --pairs N   paired windows of the write(2) comparison at 128 bytes (default 20)
            --out DIR   where the table and the raw figures go (default .build/compare/TIME); logs and mounts lie in DIR/work meanwhile
        Exit codes: 0 measured, every line arrived once and in order; 1 a line was lost, twice, reordered or damaged; 2 wrong usage;
        3 something could not be started; 130 interrupted.
        """;

    public int Rounds { get; init; } = 5;
    public int Lines { get; init; } = 200_000;
    public int Pairs { get; init; } = 20;
    public int PairLines { get; init; } = 50_000;
    public int LatencyLines { get; init; } = 200;
    public TimeSpan IdleTime { get; init; } = TimeSpan.FromSeconds(2);
    public required string Out { get; init; }

    /// <summary>The directory with the built load and nullfuse.</summary>
    public required string Tools { get; init; }

    public required string Hikyaku { get; init; }

    public string Work => Path.Combine(Out, "work");

    /// <summary>Null: wrong usage.</summary>
    public static ComparisonOptions? Parse(ReadOnlySpan<string> args)
    {
        var root = Environment.GetEnvironmentVariable("HIKYAKU_ROOT") ?? Environment.CurrentDirectory;
        var options = new ComparisonOptions
        {
            Out = Path.Combine(root, ".build", "compare", DateTime.Now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)),
            Tools = Path.Combine(root, ".build", "compare", "tools"),
            Hikyaku = Path.Combine(root, "hikyaku"),
        };
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i] == "--quick")
            {
                options = options with { Rounds = 1, Lines = 4000, Pairs = 2, PairLines = 4000, LatencyLines = 20 };
                continue;
            }

            if (i + 1 == args.Length)
                return null;
            var value = args[i + 1];
            var isNumber = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0;
            switch (args[i++])
            {
                case "--rounds" when isNumber: options = options with { Rounds = number }; break;
                case "--lines" when isNumber: options = options with { Lines = Math.Max(number, 16) }; break;
                case "--pairs" when isNumber: options = options with { Pairs = number }; break;
                case "--out": options = options with { Out = Path.GetFullPath(value) }; break;
                default: return null;
            }
        }

        return options;
    }
}
