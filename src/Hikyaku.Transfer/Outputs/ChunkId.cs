using System.Buffers.Binary;
using System.Buffers.Text;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// The id under which a chunk is acknowledged: the series' first bytes and the number, in hex, and behind them the seat of a part
/// that went to another server, which may have a part of the same number already. The same at every try.
/// </summary>
internal static class ChunkId
{
    public const int LengthMax = Length + SeatLength;

    private const int Length = 32, SeatLength = 4;

    /// <param name="target">At least <see cref="LengthMax"/> bytes.</param>
    /// <param name="origin">The series.</param>
    /// <param name="number">The chunk.</param>
    /// <param name="seat">-1: the part is where it belongs.</param>
    public static int Write(Span<byte> target, Guid origin, ulong number, int seat)
    {
        Span<byte> raw = stackalloc byte[18];
        origin.TryWriteBytes(raw);
        BinaryPrimitives.WriteUInt64BigEndian(raw[8..], number);
        BinaryPrimitives.WriteUInt16BigEndian(raw[16..], (ushort)seat);
        Convert.TryToHexStringLower(raw[..(seat < 0 ? 16 : 18)], target, out var length);
        return length;
    }

    public static bool TryRead(ReadOnlySpan<byte> id, out ulong number, out int seat)
    {
        seat = -1;
        number = 0;
        if (id.Length is not (Length or LengthMax))
            return false;
        if (id.Length == LengthMax && (!Utf8Parser.TryParse(id[Length..], out ushort read, out var digits, 'x') || digits != SeatLength || (seat = read) < 0))
            return false;
        return Utf8Parser.TryParse(id[16..Length], out number, out var used, 'x') && used == 16;
    }
}
