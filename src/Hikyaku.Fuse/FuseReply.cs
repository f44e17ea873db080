using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>Where an operation puts its answer. Every method returns the payload's length, ready to be returned by the operation.</summary>
public readonly ref struct FuseReply(Span<byte> payload)
{
    /// <summary>Room for the payload. For READ, READDIR and xattrs never longer than what was asked for.</summary>
    public Span<byte> Payload { get; } = payload;

    public int Entry(in EntryOut entry) => Put(entry);

    public int Attr(in AttrOut attr) => Put(attr);

    public int Open(ulong handle, OpenReplyFlags flags, int backingId = 0) => Put(new OpenOut { Handle = handle, OpenFlags = flags, BackingId = backingId });

    /// <summary>The answer to CREATE: an entry and the opened handle.</summary>
    public int Created(in EntryOut entry, ulong handle, OpenReplyFlags flags)
    {
        Put(entry);
        MemoryMarshal.Write(Payload[Unsafe.SizeOf<EntryOut>()..], new OpenOut { Handle = handle, OpenFlags = flags });
        return Unsafe.SizeOf<EntryOut>() + Unsafe.SizeOf<OpenOut>();
    }

    public int Written(uint bytes) => Put(new WriteOut { Size = bytes });

    public int Put<T>(in T value)
        where T : unmanaged
    {
        MemoryMarshal.Write(Payload, value);
        return Unsafe.SizeOf<T>();
    }

    /// <summary>Copies bytes; the answer is ERANGE when they do not fit.</summary>
    public int Bytes(ReadOnlySpan<byte> bytes) => bytes.TryCopyTo(Payload) ? bytes.Length : -Errno.ERANGE;
}
