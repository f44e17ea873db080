using System.Text;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Rendezvous hashing: each server draws a number for a key, the highest wins. So a server that comes or goes moves no more than
/// its own share. The same in every process, for a repetition must come to the same end.
/// </summary>
internal static class ServerHash
{
    private const ulong Start = 0xcbf29ce484222325, Prime = 0x100000001b3;

    public static ulong OfName(string name) => Add(Start, Encoding.UTF8.GetBytes(name));

    public static ulong OfSource(LineSource source, HashKey key) => key switch
    {
        HashKey.Host => Add(Start, source.Host),
        HashKey.File => Add(Start, source.File),
        _ => Add(Add(Start, source.Host) * Prime, source.Path),
    };

    /// <summary>What a server of that weight draws for a key.</summary>
    public static double Draw(ulong server, int weight, ulong key)
    {
        var mixed = Mix(server ^ Mix(key));
        // Between 0 and 1, and neither.
        var unit = ((mixed >> 11) + 0.5) * (1.0 / (1UL << 53));
        return weight / -Math.Log(unit);
    }

    private static ulong Add(ulong hash, ReadOnlySpan<byte> bytes)
    {
        foreach (var b in bytes)
            hash = (hash ^ b) * Prime;
        return hash;
    }

    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
        x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
        return x ^ (x >> 31);
    }
}
