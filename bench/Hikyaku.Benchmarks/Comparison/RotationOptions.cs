using System.Globalization;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>What bench/compare/rotate was asked for, and where the programs are.</summary>
internal sealed record RotationOptions
{
    public const string Usage = """
        bench/compare/rotate [--seconds N] [--rate N] [--rounds N] [--out DIR] [--peers DIR]
            --seconds N  how long the writers of each run write (default 5); their files are rotated every half second
            --rate N     lines a second, four writers together (default 50000)
            --rounds N   rounds of all systems and methods in turn (default 3)
            --out DIR    where the table and the raw figures go (default .build/compare/rotate-TIME); everything runs in DIR/work
            --peers DIR  where packages of rsyslog and syslog-ng are unpacked that are not installed (default .build/compare/peers)
        Exit codes: 0 every line arrived through Hikyaku, once and in order; 1 one did not; 2 wrong usage; 3 something could not be
        started; 130 interrupted. What the others lose is in the table.
        """;

    public int Seconds { get; init; } = 5;
    public int Rate { get; init; } = 50_000;
    public int Rounds { get; init; } = 3;
    public required string Out { get; init; }
    public required string Peers { get; init; }

    /// <summary>The built load program.</summary>
    public required string Load { get; init; }

    public required string Hikyaku { get; init; }

    public string Work => Path.Combine(Out, "work");

    /// <summary>Null: wrong usage.</summary>
    public static RotationOptions? Parse(ReadOnlySpan<string> args)
    {
        var root = Environment.GetEnvironmentVariable("HIKYAKU_ROOT") ?? Environment.CurrentDirectory;
        var build = Path.Combine(root, ".build", "compare");
        var options = new RotationOptions
        {
            Out = Path.Combine(build, "rotate-" + DateTime.Now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture)),
            Peers = Path.Combine(build, "peers"),
            Load = Path.Combine(build, "tools", "load"),
            Hikyaku = Path.Combine(root, "hikyaku"),
        };
        for (var i = 0; i < args.Length; i += 2)
        {
            if (i + 1 == args.Length)
                return null;
            var value = args[i + 1];
            var isNumber = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0;
            switch (args[i])
            {
                case "--seconds" when isNumber: options = options with { Seconds = number }; break;
                case "--rate" when isNumber: options = options with { Rate = Math.Max(number, RotationRun.Writers) }; break;
                case "--rounds" when isNumber: options = options with { Rounds = number }; break;
                case "--out": options = options with { Out = Path.GetFullPath(value) }; break;
                case "--peers": options = options with { Peers = Path.GetFullPath(value) }; break;
                default: return null;
            }
        }

        return options;
    }
}
