using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>A test that mounts: skipped, with the reason, where this user cannot.</summary>
public sealed class MountFactAttribute : FactAttribute
{
    public MountFactAttribute() => Skip = Obstacle.ToMounting;
}
