using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Hikyaku.Mount;

/// <summary>Names of our own in the top directory: never shown, and nobody can make or reach them through the mount.</summary>
internal static unsafe class HiddenName
{
    private static ReadOnlySpan<byte> Prefix => ".hikyaku-"u8;

    private static ReadOnlySpan<byte> BackingPrefix => ".hikyaku-file-"u8;

    public static bool Is(ReadOnlySpan<byte> name) => name.StartsWith(Prefix);

    /// <summary>All in this directory, each ended by NUL; none if it cannot be read.</summary>
    public static List<byte[]> List(int directory)
    {
        var names = new List<byte[]>();
        var fd = Underneath.OpenAnew(directory);
        if (fd < 0)
            return names;
        var buffer = new byte[32 * 1024];
        nint length;
        fixed (byte* start = buffer)
        {
            while ((length = Libc.GetDents(fd, start, (nuint)buffer.Length)) > 0)
            {
                for (var rest = buffer.AsSpan(0, (int)length); rest.Length > 19; rest = rest[BinaryPrimitives.ReadUInt16LittleEndian(rest[16..])..])
                {
                    var name = rest[19..BinaryPrimitives.ReadUInt16LittleEndian(rest[16..])];
                    if (Is(name))
                        names.Add(name[..(name.IndexOf((byte)0) + 1)].ToArray());
                }
            }
        }
        _ = Libc.Close(fd);
        return names;
    }

    /// <summary>Where a file goes that is unlinked while open: .hikyaku- and its node id in hex.</summary>
    public static byte[] Of(ulong nodeId) => Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $".hikyaku-{nodeId:x16}\0"));

    /// <summary>A file that becomes a saved one when it is complete.</summary>
    public static byte[] OfUnfinished => ".hikyaku-saving\0"u8.ToArray();

    /// <summary>Whether it is a second name of a file that is written past us, or (with a generation) what was saved of one.</summary>
    public static bool IsBacking(ReadOnlySpan<byte> name, out ulong number, out ulong? generation)
    {
        (number, generation) = (0, null);
        if (!name.StartsWith(BackingPrefix))
            return false;
        name = name[BackingPrefix.Length..];
        var dot = name.IndexOf((byte)'.');
        if (dot >= 0 && ulong.TryParse(name[(dot + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var cut))
            generation = cut;
        return (dot >= 0) == generation.HasValue && (dot < 0 ? name.Length : dot) == 16
            && ulong.TryParse(name[..16], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>Whether <see cref="Of"/> may have made it; other hidden names are left alone.</summary>
    public static bool IsUnlinked(ReadOnlySpan<byte> name, out ulong nodeId)
    {
        nodeId = 0;
        return Is(name) && name.Length == Prefix.Length + 16
            && ulong.TryParse(name[Prefix.Length..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out nodeId);
    }
}
