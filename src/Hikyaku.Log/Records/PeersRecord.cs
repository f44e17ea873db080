using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Hikyaku.Log;

/// <summary>
/// What has been received from one origin by one route: body = 16 origin, u64 done, u32 count, u32 length of the route,
/// count times u64 number, route. With an empty origin: fingerprints of foreign messages, or the mark behind a whole statement.
/// </summary>
public readonly ref struct PeersRecord
{
    private const int FixedBytes = 32;

    /// <summary>The identity of the sending log.</summary>
    public Guid Origin { get; private init; }

    /// <summary>Every number below this one has been received or will never come again.</summary>
    public ulong Done { get; private init; }

    /// <summary>The numbers received that are not below <see cref="Done"/>.</summary>
    public ReadOnlySpan<ulong> Received { get; private init; }

    /// <summary>The sender's route.</summary>
    public ReadOnlySpan<byte> Route { get; private init; }

    /// <summary>Bytes that <see cref="WriteHead"/> will write.</summary>
    public static int HeadBytes(int route, int received) => checked(FixedBytes + route + received * 8);

    /// <summary>Writes the whole body; returns the bytes written.</summary>
    public static int WriteHead(Span<byte> dst, Guid origin, ReadOnlySpan<byte> route, ulong done, ReadOnlySpan<ulong> received)
    {
        origin.TryWriteBytes(dst[..FixedBytes], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[16..], done);
        BinaryPrimitives.WriteInt32LittleEndian(dst[24..], received.Length);
        BinaryPrimitives.WriteInt32LittleEndian(dst[28..], route.Length);
        MemoryMarshal.AsBytes(received).CopyTo(dst[FixedBytes..]);
        route.CopyTo(dst[(FixedBytes + received.Length * 8)..]);
        return FixedBytes + received.Length * 8 + route.Length;
    }

    /// <summary>False if the body is shorter than it says.</summary>
    public static bool TryParse(ReadOnlySpan<byte> body, out PeersRecord record)
    {
        record = default;
        if (body.Length < FixedBytes) return false;
        ulong count = BinaryPrimitives.ReadUInt32LittleEndian(body[24..]);
        ulong route = BinaryPrimitives.ReadUInt32LittleEndian(body[28..]);
        if (count * 8 + route > (ulong)(body.Length - FixedBytes)) return false;
        int numbers = (int)count * 8;
        record = new PeersRecord
        {
            Origin = new Guid(body[..16], bigEndian: true),
            Done = BinaryPrimitives.ReadUInt64LittleEndian(body[16..]),
            Received = MemoryMarshal.Cast<byte, ulong>(body.Slice(FixedBytes, numbers)),
            Route = body.Slice(FixedBytes + numbers, (int)route),
        };
        return true;
    }
}
