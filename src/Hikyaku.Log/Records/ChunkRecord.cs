using System.Buffers.Binary;

namespace Hikyaku.Log;

/// <summary>
/// One received chunk: body = 64 bytes (16 origin, u64 number, u64 done, i64 time, u32 lines, u32 lengths of common, route, tag, peer,
/// u32 zero), then route, tag, peer, common, and the entries up to the end.
/// </summary>
public readonly ref struct ChunkRecord
{
    private const int FixedBytes = 64;

    /// <summary>
    /// The identity of the log the chunk was made from. With number 0 the fingerprint of a foreign message, or empty if it has no id.
    /// </summary>
    public Guid Origin { get; private init; }

    /// <summary>The chunk's number within origin and route; 0 = a foreign sender.</summary>
    public ulong Number { get; private init; }

    /// <summary>The lowest number the sender has not got acknowledged. With number 0 where in the message the entries begin; bit 63: they end it.</summary>
    public ulong Done { get; private init; }

    /// <summary>Unix time of receipt in nanoseconds.</summary>
    public long Time { get; private init; }

    /// <summary>How many lines the entries hold.</summary>
    public uint Lines { get; private init; }

    /// <summary>The sender's route.</summary>
    public ReadOnlySpan<byte> Route { get; private init; }

    /// <summary>The Forward tag.</summary>
    public ReadOnlySpan<byte> Tag { get; private init; }

    /// <summary>The sender's address as text.</summary>
    public ReadOnlySpan<byte> Peer { get; private init; }

    /// <summary>The fields shared by the entries, MessagePack; may be empty.</summary>
    public ReadOnlySpan<byte> Common { get; private init; }

    /// <summary>The packed entries.</summary>
    public ReadOnlySpan<byte> EntriesBytes { get; private init; }

    /// <summary>Bytes that <see cref="WriteHead"/> will write.</summary>
    public static int HeadBytes(int route, int tag, int peer, int common) => checked(FixedBytes + route + tag + peer + common);

    /// <summary>Writes all but the entries, which are to be given as data of the append; returns the bytes written.</summary>
    public static int WriteHead(
        Span<byte> dst, Guid origin, ulong number, ulong done, long time, uint lines,
        ReadOnlySpan<byte> route, ReadOnlySpan<byte> tag, ReadOnlySpan<byte> peer, ReadOnlySpan<byte> common)
    {
        origin.TryWriteBytes(dst[..FixedBytes], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[16..], number);
        BinaryPrimitives.WriteUInt64LittleEndian(dst[24..], done);
        BinaryPrimitives.WriteInt64LittleEndian(dst[32..], time);
        BinaryPrimitives.WriteUInt32LittleEndian(dst[40..], lines);
        BinaryPrimitives.WriteInt32LittleEndian(dst[44..], common.Length);
        BinaryPrimitives.WriteInt32LittleEndian(dst[48..], route.Length);
        BinaryPrimitives.WriteInt32LittleEndian(dst[52..], tag.Length);
        BinaryPrimitives.WriteInt32LittleEndian(dst[56..], peer.Length);
        BinaryPrimitives.WriteInt32LittleEndian(dst[60..], 0);
        int at = FixedBytes;
        route.CopyTo(dst[at..]);
        tag.CopyTo(dst[(at += route.Length)..]);
        peer.CopyTo(dst[(at += tag.Length)..]);
        common.CopyTo(dst[(at += peer.Length)..]);
        return at + common.Length;
    }

    /// <summary>False if the body is shorter than it says.</summary>
    public static bool TryParse(ReadOnlySpan<byte> body, out ChunkRecord record)
    {
        record = default;
        if (body.Length < FixedBytes) return false;
        uint common = BinaryPrimitives.ReadUInt32LittleEndian(body[44..]);
        uint route = BinaryPrimitives.ReadUInt32LittleEndian(body[48..]);
        uint tag = BinaryPrimitives.ReadUInt32LittleEndian(body[52..]);
        uint peer = BinaryPrimitives.ReadUInt32LittleEndian(body[56..]);
        var rest = body[FixedBytes..];
        if ((ulong)common + route + tag + peer > (ulong)rest.Length) return false;
        record = new ChunkRecord
        {
            Origin = new Guid(body[..16], bigEndian: true),
            Number = BinaryPrimitives.ReadUInt64LittleEndian(body[16..]),
            Done = BinaryPrimitives.ReadUInt64LittleEndian(body[24..]),
            Time = BinaryPrimitives.ReadInt64LittleEndian(body[32..]),
            Lines = BinaryPrimitives.ReadUInt32LittleEndian(body[40..]),
            Route = rest[..(int)route],
            Tag = rest.Slice((int)route, (int)tag),
            Peer = rest.Slice((int)(route + tag), (int)peer),
            Common = rest.Slice((int)(route + tag + peer), (int)common),
            EntriesBytes = rest[(int)(route + tag + peer + common)..],
        };
        return true;
    }
}
