namespace Hikyaku.Fuzz.Targets;

/// <summary>Fails within a few rounds, to prove that a failure is seen and told.</summary>
internal sealed class CanaryTarget : FuzzTarget
{
    public override string Name => "canary";

    public override int SmokeRounds => 1000;

    public override byte[] Make(Dice dice) => dice.Bytes(16);

    public override void Run(byte[] input) => BrokenPromise.Unless(input[0] >= 16, "this is the canary: it always fails");
}
