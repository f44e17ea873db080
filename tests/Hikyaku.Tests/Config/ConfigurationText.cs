using Hikyaku.Config;
using Xunit;

namespace Hikyaku.Tests.Config;

/// <summary>Configuration texts, loaded from a file of their own called c.yaml.</summary>
internal static class ConfigurationText
{
    public static Settings Load(string text, string? mountPoint = null)
    {
        using var folder = new Folder();
        File.WriteAllText(folder.File, text);
        return ConfigurationFile.Load(folder.File, mountPoint);
    }

    /// <summary>What is wrong with a text, one problem per line, places as line:column.</summary>
    public static string Problems(string text, string? mountPoint = null)
    {
        using var folder = new Folder();
        File.WriteAllText(folder.File, text);
        var e = Assert.Throws<ConfigurationException>(() => ConfigurationFile.Load(folder.File, mountPoint));
        return string.Join('\n', e.Messages.Select(m => m.Replace(folder.File + ": ", "", StringComparison.Ordinal).Replace(folder.File + ":", "", StringComparison.Ordinal)));
    }

    private sealed class Folder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("hikyaku-config").FullName;

        public string File => System.IO.Path.Join(Path, "c.yaml");

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
