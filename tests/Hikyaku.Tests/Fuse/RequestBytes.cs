using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Fuse;

namespace Hikyaku.Tests.Fuse;

/// <summary>Requests as the kernel would write them.</summary>
internal static class RequestBytes
{
    public const ulong Unique = 0x42;
    public const ulong Node = 7;

    public static byte[] Of(Opcode opcode, params byte[][] parts) => Of(opcode, Unique, parts);

    public static byte[] Of(Opcode opcode, ulong unique, params byte[][] parts)
    {
        var body = parts.SelectMany(part => part).ToArray();
        var bytes = new byte[Unsafe.SizeOf<InHeader>() + body.Length];
        MemoryMarshal.Write(bytes, new InHeader
        {
            Length = (uint)bytes.Length, Opcode = opcode, Unique = unique, NodeId = Node, Uid = 1000, Gid = 100, Pid = 4321,
        });
        body.CopyTo(bytes, Unsafe.SizeOf<InHeader>());
        return bytes;
    }

    public static byte[] Struct<T>(T value)
        where T : unmanaged
    {
        var bytes = new byte[Unsafe.SizeOf<T>()];
        MemoryMarshal.Write(bytes, value);
        return bytes;
    }

    public static byte[] Name(string name) => [.. Encoding.UTF8.GetBytes(name), 0];

    /// <summary>A request cut (or stretched) to a length, its own length field saying so too.</summary>
    public static byte[] Resized(byte[] request, int length)
    {
        var bytes = new byte[length];
        request.AsSpan(0, Math.Min(length, request.Length)).CopyTo(bytes);
        if (length >= sizeof(uint))
            MemoryMarshal.Write(bytes, (uint)length);
        return bytes;
    }
}
