using Hikyaku.Config;

namespace Hikyaku.Commands;

/// <summary>A configuration given as a JSON text, as K2HFTFUSE takes it: on a command line or in the environment.</summary>
internal static class JsonText
{
    /// <summary>The configuration that the environment gives: a file, or a text; null when it gives none.</summary>
    public static (string? File, string? Text)? FromEnvironment(string fileVariable, string textVariable) =>
        Environment.GetEnvironmentVariable(fileVariable) is { Length: > 0 } file ? (file, null)
        : Environment.GetEnvironmentVariable(textVariable) is { Length: > 0 } text ? (null, text) : null;

    /// <summary>Keeps a text as a file of the state directory, since children and SIGHUP read files; returns its path.</summary>
    public static string Save(string text, string state, string name)
    {
        Directory.CreateDirectory(state, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Join(state, name + ".json");
        using var file = new StreamWriter(path, new FileStreamOptions
        {
            Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        file.Write(text);
        return path;
    }

    /// <summary>Where the object that begins at <paramref name="start"/> ends; <paramref name="start"/> itself if none begins there.</summary>
    public static int EndOf(string text, int start)
    {
        var depth = 0;
        for (var i = start; i < text.Length; i++)
        {
            if (text[i] is '"')
            {
                for (i++; i < text.Length && text[i] is not '"'; i++)
                    i += text[i] is '\\' ? 1 : 0;
                continue;
            }
            depth += text[i] switch { '{' => 1, '}' => -1, _ => 0 };
            if (depth <= 0)
                return i == start ? start : i + 1;
        }
        return start;
    }
}
