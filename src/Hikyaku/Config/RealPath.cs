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

    private static unsafe string Of(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(path);
        var bytes = stackalloc byte[PathBytesMax];
        if (Libc.RealPath(full, bytes) is not 0)
            return Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(bytes));
        return Path.GetDirectoryName(full) is { } parent ? Path.Join(Of(parent), Path.GetFileName(full)) : full;
    }
}
