namespace Hikyaku.Tests;

/// <summary>The sources that these tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "Hikyaku.slnx")))
            directory = Path.GetDirectoryName(directory)!;
        return directory;
    }
}
