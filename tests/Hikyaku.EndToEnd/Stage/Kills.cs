using System.Globalization;
using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>
/// Moments to kill at, drawn from a printed seed. HIKYAKU_KILLS says how many (5 without it), HIKYAKU_SEED repeats a run.
/// </summary>
internal sealed class Kills
{
    private readonly Random _random;

    public Kills()
    {
        Seed = Number("HIKYAKU_SEED", Environment.TickCount & 0xFFFFFF);
        _random = new Random(Seed);
    }

    public static int Count { get; } = Number("HIKYAKU_KILLS", 5);

    public int Seed { get; }

    /// <summary>A time to let pass under load before the next kill.</summary>
    public void WaitForTheMoment() => Thread.Sleep(_random.Next(0, 200));

    public int Draw(int below) => _random.Next(below);

    /// <summary>Waits until new lines have arrived: the street works again.</summary>
    public static void WaitUntilLinesMove(Street street, int bytes = 4096, Command? writer = null)
    {
        var before = FileLength.Of(street.Output);
        Eventually.Is(() => writer is { HasExited: true } || FileLength.Of(street.Output) >= before + bytes, "lines arrive again after a kill", street.Scene.Report);
        Assert.False(writer is { HasExited: true }, street.Scene.Report());
    }

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var given) ? given : otherwise;
}
