using System.Text;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Fuzz.Targets;

/// <summary>
/// POSIX expressions and lines for them. What cannot be read is refused with a reason; what can is matched without an exception, and the same
/// whether a match is only asked for, or found; occurrences follow each other, and groups lie within them.
/// </summary>
internal sealed class PosixTarget : FuzzTarget
{
    private const string Parts = "aab.*+?|(){}[]^$\\,-:=12xé";
    private static readonly string[] Words = ["[[:alpha:]]", "[^a]", "(a|b)*", "{1,3}", "{2}", "\\<", "\\w", "(a+)+", "[a-c]", "()"];

    public override string Name => "posix";

    public override int SmokeRounds => 5_000;

    public override byte[] Make(Dice dice)
    {
        var text = new StringBuilder();
        for (var parts = dice.Below(20); parts > 0; parts--)
            text.Append(dice.OneIn(3) ? Words[dice.Below(Words.Length)] : Parts[dice.Below(Parts.Length)].ToString());
        // Up to the first NUL the expression, behind it the line.
        return dice.Mutate([.. Encoding.UTF8.GetBytes(text.ToString()), 0, .. dice.OneIn(2) ? dice.Bytes(dice.Below(100)) : "abxabaa\nbc aab"u8], dice.Below(3), 4 << 10);
    }

    public override void Run(byte[] input)
    {
        var end = input.AsSpan().IndexOf((byte)0);
        var (text, line) = end < 0 ? (input, []) : (input[..end], input[(end + 1)..]);
        var settings = new PatternSettings(PatternKind.Posix, Encoding.UTF8.GetString(text));
        if (settings.Problem() is { } problem)
        {
            BrokenPromise.Unless(problem.Length > 10, "a refusal says why");
            return;
        }

        var pattern = new PosixPattern(settings.Text);
        pattern.Begin(line);
        Span<int> places = stackalloc int[2 * LinePattern.PlacesMax];
        var (count, from) = (0, 0);
        for (; pattern.TryNext(line, places); count++)
        {
            BrokenPromise.Unless(places[0] >= from && places[1] >= places[0] && places[1] <= line.Length, $"occurrence {count} at {places[0]} to {places[1]} lies behind {from}");
            from = Math.Max(places[1], places[0] + 1);
            for (var group = 1; group < LinePattern.PlacesMax; group++)
            {
                var (start, stop) = (places[2 * group], places[(2 * group) + 1]);
                BrokenPromise.Unless(
                    (start < 0 && stop < 0) || (group <= pattern.Groups && start >= places[0] && stop >= start && stop <= places[1]), $"group {group} at {start} to {stop} lies within the match");
            }
        }

        BrokenPromise.Unless(pattern.IsMatch(line) == count > 0, "a match is found if there is one");
    }
}
