using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>A test that only root can set up, such as a disk of its own that is full.</summary>
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute() => Skip = Obstacle.ToRoot;
}
