using System.Text;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// A file name with {host}, {path} and {file} in it. What stands for them comes from other hosts and is not trusted: no
/// component may be "..", or start the path anew.
/// </summary>
internal static class PathTemplate
{
    private const int ComponentBytesMax = 255;

    public static string Expand(string template, LineSource source) => template
        .Replace("{host}", Clean(source.Host, keepSlashes: false), StringComparison.Ordinal)
        .Replace("{path}", Clean(source.Path, keepSlashes: true), StringComparison.Ordinal)
        .Replace("{file}", Clean(source.File, keepSlashes: false), StringComparison.Ordinal);

    private static string Clean(ReadOnlySpan<byte> name, bool keepSlashes)
    {
        var clean = new StringBuilder();
        foreach (var component in Encoding.UTF8.GetString(name).Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (clean.Length > 0)
                clean.Append(keepSlashes ? '/' : '_');
            clean.Append(CleanComponent(component));
        }

        return clean.Length == 0 ? "_" : clean.ToString();
    }

    private static string CleanComponent(string component)
    {
        var text = component.Replace('\0', '_').Replace('{', '_');
        // The names of our own that stand beside files are not for whoever writes or sends.
        if (text is "." or ".." || text.StartsWith(SlicePattern.HiddenPrefix, StringComparison.Ordinal))
            text = text.Replace('.', '_');
        return Encoding.UTF8.GetByteCount(text) <= ComponentBytesMax ? text : text[..(ComponentBytesMax / 4)];
    }
}
