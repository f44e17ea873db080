using Hikyaku.Fuzz.Targets;

namespace Hikyaku.Fuzz;

/// <summary>One part of the product under fire. What <see cref="Run"/> does follows from its input alone, so that a kept input can be run again.</summary>
internal abstract class FuzzTarget
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
        [new FuseTarget(), new MountTarget(), new MessagePackTarget(), new ForwardTarget(), new LogTarget(), new ConfigTarget(), new PosixTarget(), new CanaryTarget()];

    public abstract string Name { get; }

    /// <summary>Rounds of a second or two on a small machine.</summary>
    public abstract int SmokeRounds { get; }

    /// <summary>Makes an input; of at most a few MiB, and seldom more than a few KiB.</summary>
    public abstract byte[] Make(Dice dice);

    /// <summary>Throws when a promise is broken; any other exception is a bug too.</summary>
    public abstract void Run(byte[] input);
}
