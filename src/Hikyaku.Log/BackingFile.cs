using System.Globalization;

namespace Hikyaku.Log;

/// <summary>
/// Names of the files that extents point into. Both lie in the directory underneath the mount. A file is cut only after all that is
/// not delivered of it was saved, at the same offsets, under the name of its generation. So a reader reads first, from the saved
/// file if there is one and else from the live one, and if it was the live one looks whether a saved one has come meanwhile: then
/// what it read may be of a later generation, and it reads again from the saved one.
/// </summary>
public static class BackingFile
{
    /// <summary>A second name of the file itself, which renaming and removing do not touch.</summary>
    public static string LiveName(ulong file) => string.Create(CultureInfo.InvariantCulture, $".hikyaku-file-{file:x16}");

    /// <summary>What was not delivered of that generation when the file was cut.</summary>
    public static string SavedName(ulong file, ulong generation) => string.Create(CultureInfo.InvariantCulture, $".hikyaku-file-{file:x16}.{generation:x}");
}
