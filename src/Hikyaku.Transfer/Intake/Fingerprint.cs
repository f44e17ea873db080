using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Hikyaku.Transfer.Intake;

/// <summary>
/// 128 bits that stand for a sequence of byte strings: MurmurHash3 (x64), each string begun with the outcome of the one before.
/// No secret: who can make two messages with the same fingerprint harms nobody's but his own.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal struct Fingerprint(Guid seed)
{
    private const ulong C1 = 0x87c37b91114253d5, C2 = 0x4cf5ad432745937f;

    private ulong _a = BinaryPrimitives.ReadUInt64LittleEndian(seed.ToByteArray());
    private ulong _b = BinaryPrimitives.ReadUInt64LittleEndian(seed.ToByteArray().AsSpan(8));

    public void Add(ReadOnlySpan<byte> bytes)
    {
        var (a, b) = (_a, _b);
        var rest = bytes;
        for (; rest.Length >= 16; rest = rest[16..])
        {
            a ^= First(BinaryPrimitives.ReadUInt64LittleEndian(rest));
            a = ((BitOperations.RotateLeft(a, 27) + b) * 5) + 0x52dce729;
            b ^= Second(BinaryPrimitives.ReadUInt64LittleEndian(rest[8..]));
            b = ((BitOperations.RotateLeft(b, 31) + a) * 5) + 0x38495ab5;
        }

        Span<byte> tail = stackalloc byte[16];
        tail.Clear();
        rest.CopyTo(tail);
        b ^= Second(BinaryPrimitives.ReadUInt64LittleEndian(tail[8..]));
        a ^= First(BinaryPrimitives.ReadUInt64LittleEndian(tail));

        a ^= (ulong)bytes.Length;
        b ^= (ulong)bytes.Length;
        a += b;
        b += a;
        a = Mix(a);
        b = Mix(b);
        a += b;
        b += a;
        (_a, _b) = (a, b);
    }

    /// <summary>Never <see cref="Guid.Empty"/>.</summary>
    public readonly Guid Value()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (_a | _b) == 0 ? 1 : _a);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], _b);
        return new Guid(bytes);
    }

    private static ulong First(ulong k) => BitOperations.RotateLeft(k * C1, 31) * C2;

    private static ulong Second(ulong k) => BitOperations.RotateLeft(k * C2, 33) * C1;

    private static ulong Mix(ulong k)
    {
        k = (k ^ (k >> 33)) * 0xff51afd7ed558ccd;
        k = (k ^ (k >> 33)) * 0xc4ceb9fe1a85ec53;
        return k ^ (k >> 33);
    }
}
