using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>A test that mounts; skipped where that is impossible.</summary>
internal sealed class MountFactAttribute : FactAttribute
{
    public const string Reason = "mounting needs root and /dev/fuse";

    public MountFactAttribute() => Skip = LiveMount.IsPossible ? null : Reason;
}

/// <inheritdoc cref="MountFactAttribute"/>
internal sealed class MountTheoryAttribute : TheoryAttribute
{
    public MountTheoryAttribute() => Skip = LiveMount.IsPossible ? null : MountFactAttribute.Reason;
}
