using Hikyaku.Config.K2hftfuse;

namespace Hikyaku.Config;

/// <summary>The one way from a path to <see cref="Settings"/>.</summary>
internal static class ConfigurationFile
{
    private const long BytesMax = 1 << 20;

    /// <summary>Reads and checks a configuration file of either kind.</summary>
    /// <param name="mountPoint">The directory of <c>hikyaku mount DIRECTORY</c>, absolute; null for any other command.</param>
    /// <param name="copy">A copy to read instead; messages, defaults and relative paths are still those of <paramref name="path"/>.</param>
    /// <param name="checksFiles">False: the files that it names may be on another host.</param>
    /// <exception cref="ConfigurationException">With everything that is wrong.</exception>
    public static Settings Load(string path, string? mountPoint = null, string? copy = null, bool checksFiles = true)
    {
        var full = Path.GetFullPath(path);
        var text = ReadText(path, copy ?? full);
        var problems = new Problems(path);
        var state = StateDirectory.Default(mountPoint?.Trim('/').Replace('/', '-') ?? Path.GetFileNameWithoutExtension(full));
        IReadOnlyList<string> notices = [];
        var foreign = K2hftfuseFile.Recognises(text);
        var root = foreign ? K2hftfuseFile.Convert(text, full, mountPoint, problems, out notices) : YamlReader.Read(text, problems);
        problems.ThrowIfAny();
        if (root is null or WrittenText { IsNothing: true })
            throw new ConfigurationException($"{path}: the file is empty; expected at least mounts or receive, and routes");
        var settings = NativeFile.Read(root, full, state, checksFiles: checksFiles && copy is null, problems, mayLackMountPoint: foreign && mountPoint is null);
        problems.ThrowIfAny();
        if (mountPoint is not null && settings.Mounts.All(m => m.At != mountPoint))
            throw new ConfigurationException($"{path}: no mount of this file is at {mountPoint}; it has {(settings.Mounts.Count is 0 ? "none" : string.Join(", ", settings.Mounts.Select(m => m.At)))}");
        foreach (var mount in settings.Mounts.Where(m => m.At is not ""))
            foreach (var (place, what) in new[] { (full, "the configuration file"), (settings.State, "the state directory"), (Environment.ProcessPath ?? "", "the program"), (AppContext.BaseDirectory, "the program's directory") })
                if (place is not "" && RealPath.IsWithin(place, mount.At))
                    throw new ConfigurationException($"{path}: {what} {place} lies in mount {mount.Name} ({mount.At}); it must be outside of every mount");
        return settings with { IsConverted = foreign, Text = foreign ? NativeText.Write((WrittenMapping)root) : text, Notices = [.. notices, .. settings.Notices] };
    }

    /// <summary>What stands in a file that may be one of configuration.</summary>
    /// <param name="path">As messages name it.</param>
    /// <exception cref="ConfigurationException">There is none, or it cannot be read, or it is too large to be one.</exception>
    public static string ReadText(string path, string full)
    {
        if (Directory.Exists(full))
            throw new ConfigurationException($"{path}: this is a directory; expected a configuration file");
        try
        {
            if (new FileInfo(full) is { Length: > BytesMax })
                throw new ConfigurationException($"{path}: larger than {BytesMax >> 20} MiB; this is no configuration file");
            return File.ReadAllText(full);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ConfigurationException($"{path}: there is no such file");
        }
        catch (UnauthorizedAccessException)
        {
            throw new ConfigurationException($"{path}: no permission to read this file");
        }
        catch (IOException e)
        {
            throw new ConfigurationException($"{path}: cannot be read: {e.Message}");
        }
    }
}
