using System.Buffers;

namespace Hikyaku.Config;

/// <summary>Checks the small languages of a file output: path placeholders, line format, time layout.</summary>
internal static class OutputFormat
{
    private const string FormatLetters = "HPFfTLl%";
    private const string Escapes = "abfnrt\\";
    private static readonly SearchValues<char> TimeLetters = SearchValues.Create("aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%-");

    /// <summary>The first {...} in a path that means nothing, or null.</summary>
    public static string? FirstUnknownPlaceholder(string path)
    {
        for (var open = path.IndexOf('{', StringComparison.Ordinal); open >= 0; open = path.IndexOf('{', open + 1))
        {
            var close = path.IndexOf('}', open);
            var placeholder = close < 0 ? path[open..] : path[open..(close + 1)];
            if (placeholder is not ("{host}" or "{path}" or "{file}"))
                return placeholder;
        }
        return null;
    }

    /// <summary>What is expected instead of a wrong format, or null when it is right.</summary>
    public static string? CheckFormat(string format)
    {
        for (var i = 0; i < format.Length; i++)
        {
            var letter = i + 1 < format.Length ? format[i + 1] : '\0';
            if (format[i] is '%' && !FormatLetters.Contains(letter, StringComparison.Ordinal))
                return $"%H host, %P pid, %F path, %f file name, %T time, %L line with its end, %l line without, %% percent; not %{letter}".TrimEnd('\0');
            if (format[i] is '\\' && letter is 'x')
            {
                if (i + 3 >= format.Length || !char.IsAsciiHexDigit(format[i + 2]) || !char.IsAsciiHexDigit(format[i + 3]))
                    return "two hexadecimal digits after \\x";
            }
            else if (format[i] is '\\' && !Escapes.Contains(letter, StringComparison.Ordinal))
                return $"\\a \\b \\f \\n \\r \\t \\xNN or \\\\; not \\{letter}".TrimEnd('\0');
            if (format[i] is '%' or '\\')
                i++;
        }
        return null;
    }

    /// <summary>What is expected instead of a wrong time layout, or null when it is right.</summary>
    public static string? CheckTime(string layout)
    {
        for (var i = layout.IndexOf('%', StringComparison.Ordinal); i >= 0; i = i + 2 > layout.Length ? -1 : layout.IndexOf('%', i + 2))
            if (i + 1 >= layout.Length || !TimeLetters.Contains(layout[i + 1]))
                return $"letters of strftime, or %- for nanoseconds; not {layout[i..Math.Min(i + 2, layout.Length)]}";
        return null;
    }

    /// <summary>What is expected instead of a wrong directive of time in a path, or null when it is right.</summary>
    public static string? CheckPathTime(string path)
    {
        for (var i = path.IndexOf('%', StringComparison.Ordinal); i >= 0; i = i + 2 > path.Length ? -1 : path.IndexOf('%', i + 2))
            if (i + 1 >= path.Length || path[i + 1] is '-' or 'n' or 't' || !TimeLetters.Contains(path[i + 1]))
                return $"letters of strftime such as %Y/%m/%d, or %% for a percent sign; not {path[i..Math.Min(i + 2, path.Length)]}";
        return null;
    }
}
