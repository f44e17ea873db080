using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;

namespace Hikyaku.Benchmarks;

/// <summary>Requests as the kernel writes them.</summary>
internal static class RequestBytes
{
    private const ulong Root = 1, File = 7;

    public static byte[] Write(ulong handle, ReadOnlySpan<byte> data) =>
        Of(Opcode.Write, File, new WriteIn { Handle = handle, Size = (uint)data.Length }, data);

    public static byte[] Create(ReadOnlySpan<byte> name) =>
        Of(Opcode.Create, Root, new CreateIn { Flags = 0x8401 /* O_WRONLY | O_APPEND | O_LARGEFILE */, Mode = 0x81a4 /* a file, 0644 */ }, [.. name, 0]);

    private static byte[] Of<T>(Opcode opcode, ulong node, T arguments, ReadOnlySpan<byte> rest)
        where T : unmanaged
    {
        var head = Unsafe.SizeOf<InHeader>();
        var bytes = new byte[head + Unsafe.SizeOf<T>() + rest.Length];
        MemoryMarshal.Write(bytes, new InHeader
        {
            Length = (uint)bytes.Length, Opcode = opcode, Unique = 66, NodeId = node, Uid = 1000, Gid = 100, Pid = (uint)Environment.ProcessId,
        });
        MemoryMarshal.Write(bytes.AsSpan(head), arguments);
        rest.CopyTo(bytes.AsSpan(bytes.Length - rest.Length));
        return bytes;
    }
}
