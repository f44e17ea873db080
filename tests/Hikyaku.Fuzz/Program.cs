using System.Diagnostics;
using System.Globalization;
using Hikyaku.Fuzz;

// dotnet run --project tests/Hikyaku.Fuzz -c Release -- log --seconds 300
//
// Names a target and how long to go on; the seed is that of the commit unless given. A failure prints its own seed, which fails again
// in the first round, and leaves its input in a file, which can be given in place of a seed.
const string Usage = "usage: hikyaku-fuzz TARGET [--seed N] [--seconds N | --rounds N]\n       hikyaku-fuzz TARGET FILE...\n       hikyaku-fuzz smoke";

if (args is ["smoke"])
    return Smoke.Run(Console.Out) ? 0 : 1;
if (args.Length == 0 || FuzzTarget.All.FirstOrDefault(t => t.Name == args[0]) is not { } target)
{
    Console.Error.WriteLine($"{Usage}\ntargets: {string.Join(' ', FuzzTarget.All.Select(t => t.Name))}");
    return 64;
}

var run = new FuzzRun(target, Console.Out) { LeavesInput = true };
ulong seed = Dice.OfCommit();
var rounds = long.MaxValue;
var time = TimeSpan.FromSeconds(10);
var files = new List<string>();
for (var i = 1; i < args.Length; i++)
{
    if (!args[i].StartsWith("--", StringComparison.Ordinal))
        files.Add(args[i]);
    else if (i + 1 == args.Length || !ulong.TryParse(args[++i], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        return Refuse(args[i]);
    else if (args[i - 1] == "--seed")
        seed = number;
    else if (args[i - 1] == "--seconds")
        time = TimeSpan.FromSeconds(number);
    else if (args[i - 1] == "--rounds")
        (rounds, time) = ((long)number, TimeSpan.MaxValue);
    else
        return Refuse(args[i - 1]);
}
if (files.Count > 0)
    return files.TrueForAll(run.Replay) ? 0 : 1;
var clock = Stopwatch.StartNew();
return run.ReplayKept() && run.Go(seed, rounds, () => clock.Elapsed < time) ? 0 : 1;

static int Refuse(string word)
{
    Console.Error.WriteLine($"not understood: {word}\n{Usage}");
    return 64;
}
