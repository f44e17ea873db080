namespace Hikyaku.EndToEnd.Stage;

/// <summary>Why a test cannot be run here; null where it can.</summary>
internal static class Obstacle
{
    public static string? ToMounting { get; } = Find();

    public static string? ToRoot => Environment.IsPrivilegedProcess ? ToMounting : "needs root";

    private static string? Find()
    {
        if (!File.Exists("/dev/fuse"))
            return "there is no /dev/fuse";
        return Environment.IsPrivilegedProcess || File.Exists("/usr/bin/fusermount3") ? null : "mounting needs root or fusermount3 (package fuse3)";
    }
}
