using Xunit;

namespace Hikyaku.EndToEnd.Stage;

/// <summary>A test that mounts: skipped, with the reason, where this user cannot.</summary>
public sealed class MountFactAttribute : FactAttribute
{
    public MountFactAttribute() => Skip = Obstacle.ToMounting;
}

/// <summary>A test that only root can set up, such as a disk of its own that is full.</summary>
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute() => Skip = Environment.IsPrivilegedProcess ? Obstacle.ToMounting : "needs root";
}

internal static class Obstacle
{
    public static string? ToMounting { get; } = Find();

    private static string? Find()
    {
        if (!File.Exists("/dev/fuse"))
            return "there is no /dev/fuse";
        return Environment.IsPrivilegedProcess || File.Exists("/usr/bin/fusermount3") ? null : "mounting needs root or fusermount3 (package fuse3)";
    }
}
