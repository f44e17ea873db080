namespace Hikyaku.EndToEnd.Stage;

/// <summary>What is mounted. Looks into tables only: touching a mount whose process is dead would block the tests themselves.</summary>
internal static class Mounts
{
    /// <summary>Mount points at or below a folder, the innermost first, with the type of the file system.</summary>
    public static List<(string Path, string Type)> Below(string folder)
    {
        var found = new List<(string Path, string Type)>();
        foreach (var line in File.ReadAllLines("/proc/self/mountinfo"))
        {
            var fields = line.Split(' ');
            var path = fields[4].Replace("\\040", " ", StringComparison.Ordinal);
            if (path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal))
                found.Add((path, fields[Array.IndexOf(fields, "-") + 1]));
        }
        found.Reverse();
        return found;
    }

    /// <summary>Whether a FUSE file system is mounted on exactly this directory.</summary>
    public static bool IsMounted(string path) => Below(path).Exists(m => m.Path == path && m.Type.StartsWith("fuse", StringComparison.Ordinal));

    /// <summary>Aborts and detaches everything below a folder, so that whoever hangs in there gets an error.</summary>
    public static void Clear(string folder)
    {
        for (var i = 0; i < 20 && Below(folder) is { Count: > 0 } left; i++)
            foreach (var (path, type) in left)
                if (Libc.Unmount(path, type.StartsWith("fuse", StringComparison.Ordinal) ? Libc.MNT_FORCE | Libc.MNT_DETACH : Libc.MNT_DETACH) != 0)
                    _ = Libc.Unmount(path, Libc.MNT_DETACH);
    }
}
