using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>As <see cref="RootFactAttribute"/>, several times over.</summary>
public sealed class RootTheoryAttribute : TheoryAttribute
{
    public RootTheoryAttribute() => Skip = Obstacle.ToRoot;
}
