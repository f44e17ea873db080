using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Supervision;

namespace Hikyaku.Config;

/// <summary>Where a path really leads.</summary>
internal static class RealPath
{
    private const int PathBytesMax = 4096;

    /// <summary>Whether the first path is the second or lies below it, once symbolic links are followed as far as the paths exist.</summary>
    public static bool IsWithin(string path, string directory)
    {
        var real = Of(directory);
        return (Of(path) + "/").StartsWith(real.TrimEnd('/') + "/", StringComparison.Ordinal);
    }

    /// <summary>Whether the kernel can take it for a path at all.</summary>
    public static bool IsPath(string text) =>
        text is not "" && !text.Contains('\0', StringComparison.Ordinal) && Encoding.UTF8.GetByteCount(text) < PathBytesMax;

    private static unsafe string Of(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(path);
        var missing = "";
        var bytes = stackalloc byte[PathBytesMax];
        while (Libc.RealPath(full, bytes) is 0)
        {
            if (Path.GetDirectoryName(full) is not { } parent)
                return Path.Join(full, missing);
            missing = Path.Join(Path.GetFileName(full), missing);
            full = parent;
        }
        return Path.Join(Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(bytes)), missing);
    }
}
