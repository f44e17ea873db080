namespace Hikyaku.Config;

/// <summary>The one way from a path to <see cref="Settings"/>.</summary>
internal static class ConfigurationFile
{
    private const long BytesMax = 1 << 20;

    /// <summary>Reads and checks a configuration file of either kind.</summary>
    /// <param name="mountPoint">The directory of <c>hikyaku mount DIRECTORY</c>, absolute; null for any other command.</param>
    /// <param name="copy">A copy to read instead; messages, defaults and relative paths are still those of <paramref name="path"/>.</param>
    /// <exception cref="ConfigurationException">With everything that is wrong.</exception>
    public static Settings Load(string path, string? mountPoint = null, string? copy = null)
    {
        var full = Path.GetFullPath(path);
        var text = ReadText(path, copy ?? full);
        if (text.AsSpan().TrimStart().StartsWith("[") && K2hftfuseSections(text))
            throw new ConfigurationException($"{path}: K2HFTFUSE's INI format is not supported yet; write the same settings as YAML");
        var problems = new Problems(path);
        var foreign = K2hftfuseFile.Recognises(text);
        if (foreign && text.AsSpan().TrimStart().StartsWith("{"))
            throw new ConfigurationException($"{path}: K2HFTFUSE's JSON format is not supported yet; write the same settings as YAML");
        var root = YamlReader.Read(foreign ? K2hftfuseFile.Quote(text) : text, problems);
        problems.ThrowIfAny();
        if (root is null or WrittenText { IsNothing: true })
            throw new ConfigurationException($"{path}: the file is empty; expected at least mounts or receive, and routes");
        var state = StateDirectory.Default(mountPoint?.Trim('/').Replace('/', '-') ?? Path.GetFileNameWithoutExtension(full));
        var settings = foreign ? K2hftfuseFile.Read(root, full, mountPoint, state, problems) : NativeFile.Read(root, full, state, checksFiles: copy is null, problems);
        problems.ThrowIfAny();
        if (!foreign && mountPoint is not null && settings.Mounts.All(m => m.At != mountPoint))
            throw new ConfigurationException($"{path}: no mount of this file is at {mountPoint}; it has {(settings.Mounts.Count is 0 ? "none" : string.Join(", ", settings.Mounts.Select(m => m.At)))}");
        foreach (var mount in settings.Mounts.Where(m => m.At is not ""))
            foreach (var (place, what) in new[] { (full, "the configuration file"), (settings.State, "the state directory"), (Environment.ProcessPath ?? "", "the program"), (AppContext.BaseDirectory, "the program's directory") })
                if (place is not "" && RealPath.IsWithin(place, mount.At))
                    throw new ConfigurationException($"{path}: {what} {place} lies in mount {mount.Name} ({mount.At}); it must be outside of every mount");
        return settings with { Text = text };
    }

    private static string ReadText(string path, string full)
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

    private static bool K2hftfuseSections(string text) => text.Contains("[GLOBAL]", StringComparison.Ordinal) || text.Contains("[K2HFTFUSE", StringComparison.Ordinal);
}
