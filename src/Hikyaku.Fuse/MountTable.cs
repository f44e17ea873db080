using System.Runtime.InteropServices;
using System.Text;

namespace Hikyaku.Fuse;

/// <summary>One mounted file system.</summary>
/// <param name="MountPoint">Absolute, without symbolic links.</param>
/// <param name="Type">For example "ext4" or "fuse.hikyaku".</param>
/// <param name="Source">The device or, for FUSE, any name.</param>
/// <param name="Device">major:minor, as in st_dev of the files below.</param>
public sealed record MountEntry(string MountPoint, string Type, string Source, string Device)
{
    public bool IsFuse => string.Equals(Type, "fuse", StringComparison.Ordinal) || Type.StartsWith("fuse.", StringComparison.Ordinal);
}

/// <summary>What this process sees mounted, from /proc/self/mountinfo.</summary>
public static class MountTable
{
    /// <summary>The uppermost mount exactly at a path, or null when the path is an ordinary directory (or nothing).</summary>
    public static MountEntry? Find(string path)
    {
        var resolved = Resolve(path);
        return Read().LastOrDefault(entry => string.Equals(entry.MountPoint, resolved, StringComparison.Ordinal));
    }

    /// <summary>
    /// True when the process behind a FUSE mount is gone for good, so that every access gives ENOTCONN. While that process is only
    /// slow or being replaced this waits for its answer.
    /// </summary>
    public static unsafe bool IsDead(MountEntry entry)
    {
        // statfs is never answered from a cache. The struct has 120 bytes.
        var buffer = stackalloc byte[256];
        return entry.IsFuse && Libc.StatFs(entry.MountPoint, buffer) < 0
            && Marshal.GetLastPInvokeError() is Errno.ENOTCONN or Errno.ECONNABORTED;
    }

    /// <summary>Everything mounted, lower mounts before those that cover them.</summary>
    public static IReadOnlyList<MountEntry> Read() => Parse(File.ReadAllText("/proc/self/mountinfo"));

    internal static IReadOnlyList<MountEntry> Parse(string text)
    {
        var entries = new List<MountEntry>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            // id parent major:minor root mount-point options optional-fields... - type source options
            var fields = line.Split(' ');
            var dash = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
            if (dash >= 0 && fields.Length > dash + 2)
                entries.Add(new MountEntry(Unescape(fields[4]), fields[dash + 1], Unescape(fields[dash + 2]), fields[2]));
        }
        return entries;
    }

    /// <summary>Absolute and without symbolic links as far as the path exists.</summary>
    internal static unsafe string Resolve(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var buffer = stackalloc byte[4096];
        if (Libc.RealPath(full, buffer) != 0)
            return Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer));
        // The last component may be a dead mount, which answers nothing; what leads to it still resolves.
        var parent = Path.GetDirectoryName(full);
        return parent is null || Libc.RealPath(parent, buffer) == 0
            ? full
            : Path.Join(
                Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer)),
                Path.GetFileName(full));
    }

    // Blank, tab, newline, backslash and # are written as a backslash and three octal digits.
    private static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal))
            return field;
        var text = new StringBuilder(field.Length);
        for (var i = 0; i < field.Length; i++)
        {
            if (field[i] == '\\' && i + 3 < field.Length
                && field[i + 1] is >= '0' and <= '7' && field[i + 2] is >= '0' and <= '7' && field[i + 3] is >= '0' and <= '7')
            {
                text.Append((char)(((field[i + 1] - '0') << 6) | ((field[i + 2] - '0') << 3) | (field[i + 3] - '0')));
                i += 3;
            }
            else
            {
                text.Append(field[i]);
            }
        }
        return text.ToString();
    }
}
