using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>One request of the kernel, valid until the method it was given to returns.</summary>
public readonly ref struct FuseRequest
{
    /// <summary>Set in <see cref="RawUnique"/> when the kernel sends a request again after FUSE_NOTIFY_RESEND.</summary>
    public const ulong ResentBit = 1ul << 63;

    private readonly ref readonly InHeader _header;

    /// <summary>Wraps a request that is at least as long as its header.</summary>
    internal FuseRequest(ReadOnlySpan<byte> bytes)
    {
        _header = ref MemoryMarshal.AsRef<InHeader>(bytes);
        Bytes = bytes;
    }

    /// <summary>The whole request, header included.</summary>
    public ReadOnlySpan<byte> Bytes { get; }

    /// <summary>What follows the header.</summary>
    public ReadOnlySpan<byte> Body => Bytes[Unsafe.SizeOf<InHeader>()..];

    public Opcode Opcode => _header.Opcode;

    /// <summary>As the kernel wrote it; a reply must carry exactly this.</summary>
    public ulong RawUnique => _header.Unique;

    /// <summary>Never used twice within one mount; the same for a request and its resent copy.</summary>
    public ulong Unique => _header.Unique & ~ResentBit;

    /// <summary>True when an earlier process may already have carried this request out.</summary>
    public bool Resent => (_header.Unique & ResentBit) != 0;

    public ulong NodeId => _header.NodeId;

    public uint Uid => _header.Uid;

    public uint Gid => _header.Gid;

    /// <summary>The id of the calling thread (not of its process), 0 when the kernel itself asks.</summary>
    public uint Pid => _header.Pid;
}
