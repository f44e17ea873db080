namespace Hikyaku.EndToEnd.Stage;

/// <summary>Lengths of files that others make, extend and remove meanwhile.</summary>
internal static class FileLength
{
    /// <summary>In bytes; 0 where there is no file.</summary>
    public static long Of(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : 0;

    public static long Of(IEnumerable<string> paths) => paths.Sum(Of);
}
