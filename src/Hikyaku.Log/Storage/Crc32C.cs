using System.Numerics;
using System.Runtime.CompilerServices;

namespace Hikyaku.Log;

/// <summary>CRC-32C (Castagnoli) with the processor's instruction.</summary>
public static unsafe class Crc32C
{
    // One instruction takes three cycles but a new one can start every cycle: three lanes fill the pipe. Shorter inputs do not
    // pay for the joining of the lanes.
    private const int Lane = 1024;

    /// <summary>The checksum of the bytes.</summary>
    public static uint Compute(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes) return Compute(p, bytes.Length);
    }

    internal static uint Compute(byte* p, long length) => ~Update(uint.MaxValue, p, length);

    /// <summary>From the state after the bytes before to the state after these; all ones at first, complemented at the end.</summary>
    internal static uint Update(uint crc, byte* p, long length)
    {
        while (length >= 3 * Lane)
        {
            uint a = crc, b = 0, c = 0;
            for (int i = 0; i < Lane; i += 8)
            {
                a = BitOperations.Crc32C(a, *(ulong*)(p + i));
                b = BitOperations.Crc32C(b, *(ulong*)(p + Lane + i));
                c = BitOperations.Crc32C(c, *(ulong*)(p + 2 * Lane + i));
            }
            crc = ZeroLane.After(ZeroLane.After(a) ^ b) ^ c;
            p += 3 * Lane;
            length -= 3 * Lane;
        }
        for (; length >= 8; length -= 8, p += 8) crc = BitOperations.Crc32C(crc, *(ulong*)p);
        for (; length > 0; length--, p++) crc = BitOperations.Crc32C(crc, *p);
        return crc;
    }

    // The effect of a lane of zeros on a CRC, as a table per byte of it: the operation is linear.
    private static class ZeroLane
    {
        private static readonly uint[] Table = Build();

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static uint After(uint crc) =>
            Table[crc & 255] ^ Table[256 + ((crc >> 8) & 255)] ^ Table[512 + ((crc >> 16) & 255)] ^ Table[768 + (crc >> 24)];

        private static uint[] Build()
        {
            var bits = stackalloc uint[32];
            for (int bit = 0; bit < 32; bit++)
            {
                uint crc = 1u << bit;
                for (int i = 0; i < Lane; i += 8) crc = BitOperations.Crc32C(crc, 0ul);
                bits[bit] = crc;
            }
            var table = new uint[1024];
            for (int part = 0; part < 4; part++)
                for (int value = 0; value < 256; value++)
                    for (int bit = 0; bit < 8; bit++)
                        if ((value >> bit & 1) != 0) table[part * 256 + value] ^= bits[part * 8 + bit];
            return table;
        }
    }
}
