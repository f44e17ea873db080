using System.Globalization;
using System.Text;

namespace Hikyaku.Mount;

/// <summary>Names of our own in the top directory: never shown, and nobody can make or reach them through the mount.</summary>
internal static class HiddenName
{
    private static ReadOnlySpan<byte> Prefix => ".hikyaku-"u8;

    public static bool Is(ReadOnlySpan<byte> name) => name.StartsWith(Prefix);

    /// <summary>Where a file goes that is unlinked while open: .hikyaku- and its node id in hex.</summary>
    public static byte[] Of(ulong nodeId) => Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $".hikyaku-{nodeId:x16}\0"));

    /// <summary>Whether <see cref="Of"/> may have made it; other hidden names are left alone.</summary>
    public static bool IsUnlinked(ReadOnlySpan<byte> name, out ulong nodeId)
    {
        nodeId = 0;
        return Is(name) && name.Length == Prefix.Length + 16
            && ulong.TryParse(name[Prefix.Length..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out nodeId);
    }
}
