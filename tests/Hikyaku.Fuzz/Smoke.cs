namespace Hikyaku.Fuzz;

/// <summary>Every target for a moment; and the canary, which must be caught.</summary>
internal static class Smoke
{
    public static bool Run(TextWriter output)
    {
        var isGood = true;
        foreach (var target in FuzzTarget.All)
            isGood &= Run(target, output);
        return isGood;
    }

    public static bool Run(FuzzTarget target, TextWriter output)
    {
        var isCanary = target is Targets.CanaryTarget;
        var said = new StringWriter();
        var run = new FuzzRun(target, isCanary ? said : output);
        var isGood = run.ReplayKept() && run.Go(Dice.OfCommit(), target.SmokeRounds, static () => true);
        if (!isCanary)
            return isGood;
        var isCaught = !isGood && said.ToString().Contains("canary FAILED in round", StringComparison.Ordinal);
        output.WriteLine(isCaught ? $"canary: caught in round {run.Rounds}" : "canary: NOT caught; failures of other targets would go unseen too");
        return isCaught;
    }
}
