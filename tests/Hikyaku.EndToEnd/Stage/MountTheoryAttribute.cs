using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>As <see cref="MountFactAttribute"/>, several times over.</summary>
public sealed class MountTheoryAttribute : TheoryAttribute
{
    public MountTheoryAttribute() => Skip = Obstacle.ToMounting;
}
