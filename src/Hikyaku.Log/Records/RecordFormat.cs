using System.Runtime.CompilerServices;

namespace Hikyaku.Log;

/// <summary>The 24-byte header of a record and how a record is stored.</summary>
internal static unsafe class RecordFormat
{
    public const int HeaderBytes = 24;
    public const int MaxBodyBytes = 128 << 20;

    // No record has an empty body, so that eight zero bytes can mean "nothing here yet".
    public const int LeastBytes = HeaderBytes + 8;
    public const int SealBytes = HeaderBytes + 8;

    public static long Size(long bodyLength) => (HeaderBytes + bodyLength + 7) & ~7L;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* at, ulong sequence, RecordKind kind, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data)
    {
        *(ulong*)(at + 8) = sequence;
        *(ulong*)(at + 16) = (byte)kind;
        head.CopyTo(new Span<byte>(at + HeaderBytes, head.Length));
        data.CopyTo(new Span<byte>(at + HeaderBytes + head.Length, data.Length));
        Publish(at, head.Length + data.Length);
    }

    /// <summary>The same for large data: with a system call instead of stores, and without looking at the stored bytes again.</summary>
    public static void StoreLarge(SegmentMemory memory, long offset, ulong sequence, RecordKind kind, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data)
    {
        memory.Store(offset + HeaderBytes + head.Length, data);
        byte* at = memory.Pointer + offset;
        *(ulong*)(at + 8) = sequence;
        *(ulong*)(at + 16) = (byte)kind;
        head.CopyTo(new Span<byte>(at + HeaderBytes, head.Length));
        uint crc = Crc32C.Update(uint.MaxValue, at + 8, HeaderBytes - 8 + head.Length);
        fixed (byte* bytes = data) crc = ~Crc32C.Update(crc, bytes, data.Length);
        Publish(at, head.Length + data.Length, crc);
    }

    // The record exists from this one store on: a kill before it leaves zeros here, a kill after it leaves all of the record.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Publish(byte* at, int bodyLength) => Publish(at, bodyLength, Crc32C.Compute(at + 8, HeaderBytes - 8 + (long)bodyLength));

    private static void Publish(byte* at, int bodyLength, uint crc) => Volatile.Write(ref *(ulong*)at, (uint)bodyLength | (ulong)crc << 32);
}
