using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>From the bytes of a request to the operation, and from its answer to the bytes of a reply. Checks every length first.</summary>
public static class FuseDispatch
{
    private const int NameMax = 255;
    private const int TargetMax = 4095;

    // The kernel refuses replies beyond this.
    private const int ErrnoLimit = 512;

    /// <summary>Carries out one request.</summary>
    /// <param name="system">The file system asked.</param>
    /// <param name="bytes">The request, header included.</param>
    /// <param name="reply">Room for the reply; its payload starts after 16 bytes. At least 8 KiB.</param>
    /// <returns>The length of the reply to send, header included; 0 when there is nothing to send (now).</returns>
    public static int Dispatch(FileSystem system, ReadOnlySpan<byte> bytes, Span<byte> reply)
    {
        // Without a whole header there is not even an id to answer to.
        if (bytes.Length < Unsafe.SizeOf<InHeader>())
            return 0;
        var request = new FuseRequest(bytes);
        var result = MemoryMarshal.AsRef<InHeader>(bytes).Length != (uint)bytes.Length
            ? -Errno.EINVAL
            : request.Opcode == Opcode.Write
                ? Write(system, request, new FuseReply(reply[Unsafe.SizeOf<OutHeader>()..]))
                : Operate(system, request, new FuseReply(reply[Unsafe.SizeOf<OutHeader>()..]));
        if (request.Opcode is Opcode.Forget or Opcode.BatchForget or Opcode.Interrupt || result == FileSystem.Deferred)
            return 0;
        if (result <= -ErrnoLimit || result > reply.Length - Unsafe.SizeOf<OutHeader>())
            throw new InvalidOperationException($"{request.Opcode} returned {result}: neither an error number nor a length that fits");
        var length = Unsafe.SizeOf<OutHeader>() + Math.Max(result, 0);
        MemoryMarshal.Write(reply, new OutHeader { Length = (uint)length, Error = Math.Min(result, 0), Unique = request.RawUnique });
        return length;
    }

    private static int Write(FileSystem system, in FuseRequest request, FuseReply reply)
    {
        var body = request.Body;
        if (body.Length < Unsafe.SizeOf<WriteIn>())
            return -Errno.EINVAL;
        ref readonly var args = ref MemoryMarshal.AsRef<WriteIn>(body);
        var data = body[Unsafe.SizeOf<WriteIn>()..];
        return args.Size == (uint)data.Length ? system.Write(request, args, data, reply) : -Errno.EINVAL;
    }

    private static int Operate(FileSystem system, in FuseRequest request, FuseReply reply)
    {
        var body = request.Body;
        int error;
        ReadOnlySpan<byte> name;
        switch (request.Opcode)
        {
            case Opcode.Lookup:
                return (error = OnlyName(body, out name)) < 0 ? error : system.Lookup(request, name, reply);
            case Opcode.Forget:
                if (Holds<ForgetIn>(body))
                    system.Forget(request.NodeId, Args<ForgetIn>(body).Lookups);
                return 0;
            case Opcode.BatchForget:
                ForgetAll(system, body);
                return 0;
            case Opcode.GetAttr:
                return Holds<GetAttrIn>(body) ? system.GetAttr(request, Args<GetAttrIn>(body), reply) : -Errno.EINVAL;
            case Opcode.SetAttr:
                return Holds<SetAttrIn>(body) ? system.SetAttr(request, Args<SetAttrIn>(body), reply) : -Errno.EINVAL;
            case Opcode.ReadLink:
                return body.IsEmpty ? system.ReadLink(request, reply) : -Errno.EINVAL;
            case Opcode.Symlink:
                return (error = TakeName(ref body, out name)) < 0 || (error = OnlyString(body, TargetMax, out body)) < 0
                    ? error
                    : system.Symlink(request, name, body, reply);
            case Opcode.MkNod:
                return (error = ArgsAndName<MkNodIn>(body, out name)) < 0 ? error : system.MkNod(request, Args<MkNodIn>(body), name, reply);
            case Opcode.MkDir:
                return (error = ArgsAndName<MkDirIn>(body, out name)) < 0 ? error : system.MkDir(request, Args<MkDirIn>(body), name, reply);
            case Opcode.Unlink:
                return (error = OnlyName(body, out name)) < 0 ? error : system.Unlink(request, name);
            case Opcode.RmDir:
                return (error = OnlyName(body, out name)) < 0 ? error : system.RmDir(request, name);
            case Opcode.Rename:
                return Holds<RenameIn>(body)
                    ? Rename(system, request, body[Unsafe.SizeOf<RenameIn>()..], Args<RenameIn>(body).NewParent, RenameFlags.None)
                    : -Errno.EINVAL;
            case Opcode.Rename2:
                return Holds<Rename2In>(body)
                    ? Rename(system, request, body[Unsafe.SizeOf<Rename2In>()..], Args<Rename2In>(body).NewParent, Args<Rename2In>(body).Flags)
                    : -Errno.EINVAL;
            case Opcode.Link:
                return (error = ArgsAndName<LinkIn>(body, out name)) < 0 ? error : system.Link(request, Args<LinkIn>(body).NodeId, name, reply);
            case Opcode.Open:
                return Holds<OpenIn>(body) ? system.Open(request, Args<OpenIn>(body), reply) : -Errno.EINVAL;
            case Opcode.Read:
                return Holds<ReadIn>(body)
                    ? system.Read(request, Args<ReadIn>(body), AtMost(reply, Args<ReadIn>(body).Size))
                    : -Errno.EINVAL;
            case Opcode.StatFs:
                return system.StatFs(request, reply);
            case Opcode.Release:
                return Holds<ReleaseIn>(body) ? system.Release(request, Args<ReleaseIn>(body)) : -Errno.EINVAL;
            case Opcode.FSync:
                return Holds<FSyncIn>(body) ? system.FSync(request, Args<FSyncIn>(body)) : -Errno.EINVAL;
            case Opcode.Flush:
                return Holds<FlushIn>(body) ? system.Flush(request, Args<FlushIn>(body)) : -Errno.EINVAL;
            case Opcode.OpenDir:
                return Holds<OpenIn>(body) ? system.OpenDir(request, Args<OpenIn>(body), reply) : -Errno.EINVAL;
            case Opcode.ReadDir:
                return Holds<ReadIn>(body)
                    ? system.ReadDir(request, Args<ReadIn>(body), AtMost(reply, Args<ReadIn>(body).Size))
                    : -Errno.EINVAL;
            case Opcode.ReleaseDir:
                return Holds<ReleaseIn>(body) ? system.ReleaseDir(request, Args<ReleaseIn>(body)) : -Errno.EINVAL;
            case Opcode.FSyncDir:
                return Holds<FSyncIn>(body) ? system.FSyncDir(request, Args<FSyncIn>(body)) : -Errno.EINVAL;
            case Opcode.Create:
                return (error = ArgsAndName<CreateIn>(body, out name)) < 0
                    ? error
                    : system.Create(request, Args<CreateIn>(body), name, reply);
            case Opcode.Access:
                return Holds<AccessIn>(body) ? system.Access(request, Args<AccessIn>(body).Mask) : -Errno.EINVAL;
            case Opcode.Interrupt:
                // Never answered: ENOSYS would switch interrupts off for good, EAGAIN would send this one again at once.
                if (Holds<InterruptIn>(body))
                    system.Interrupt(Args<InterruptIn>(body).Unique & ~FuseRequest.ResentBit);
                return 0;
            case Opcode.FAllocate:
                return Holds<FAllocateIn>(body) ? system.FAllocate(request, Args<FAllocateIn>(body)) : -Errno.EINVAL;
            case Opcode.LSeek:
                return Holds<LSeekIn>(body) ? system.LSeek(request, Args<LSeekIn>(body), reply) : -Errno.EINVAL;
            case Opcode.GetXAttr:
                return (error = ArgsAndAttribute<GetXAttrIn>(body, out name, out _)) < 0
                    ? error
                    : system.GetXAttr(request, Args<GetXAttrIn>(body), name, AtMostXAttr(reply, Args<GetXAttrIn>(body).Size));
            case Opcode.ListXAttr:
                return Holds<GetXAttrIn>(body)
                    ? system.ListXAttr(request, Args<GetXAttrIn>(body), AtMostXAttr(reply, Args<GetXAttrIn>(body).Size))
                    : -Errno.EINVAL;
            case Opcode.SetXAttr:
                return (error = ArgsAndAttribute<SetXAttrIn>(body, out name, out var value)) < 0
                    ? error
                    : value.Length == Args<SetXAttrIn>(body).Size
                        ? system.SetXAttr(request, Args<SetXAttrIn>(body), name, value)
                        : -Errno.EINVAL;
            case Opcode.RemoveXAttr:
                return (error = OnlyString(body, NameMax, out name)) < 0 ? error : system.RemoveXAttr(request, name);
            case Opcode.Destroy:
                system.Destroy();
                return 0;
            default:
                return -Errno.ENOSYS;
        }
    }

    private static int Rename(FileSystem system, in FuseRequest request, ReadOnlySpan<byte> names, ulong newParent, RenameFlags flags)
    {
        int error;
        return (error = TakeName(ref names, out var name)) < 0 || (error = OnlyName(names, out var newName)) < 0
            ? error
            : system.Rename(request, name, newParent, newName, flags);
    }

    private static void ForgetAll(FileSystem system, ReadOnlySpan<byte> body)
    {
        if (!Holds<BatchForgetIn>(body))
            return;
        var nodes = MemoryMarshal.Cast<byte, ForgetOne>(body[Unsafe.SizeOf<BatchForgetIn>()..]);
        var count = (int)Math.Min((uint)nodes.Length, Args<BatchForgetIn>(body).Count);
        foreach (ref readonly var node in nodes[..count])
            system.Forget(node.NodeId, node.Lookups);
    }

    private static bool Holds<T>(ReadOnlySpan<byte> body)
        where T : unmanaged => body.Length >= Unsafe.SizeOf<T>();

    private static ref readonly T Args<T>(ReadOnlySpan<byte> body)
        where T : unmanaged => ref MemoryMarshal.AsRef<T>(body);

    private static FuseReply AtMost(FuseReply reply, uint size) =>
        size < (uint)reply.Payload.Length ? new FuseReply(reply.Payload[..(int)size]) : reply;

    private static FuseReply AtMostXAttr(FuseReply reply, uint size) => size == 0 ? reply : AtMost(reply, size);

    private static int ArgsAndName<T>(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> name)
        where T : unmanaged
    {
        name = default;
        return Holds<T>(body) ? OnlyName(body[Unsafe.SizeOf<T>()..], out name) : -Errno.EINVAL;
    }

    private static int ArgsAndAttribute<T>(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> rest)
        where T : unmanaged
    {
        name = rest = default;
        if (!Holds<T>(body))
            return -Errno.EINVAL;
        rest = body[Unsafe.SizeOf<T>()..];
        return TakeString(ref rest, NameMax, out name);
    }

    private static int OnlyName(ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> name)
    {
        var error = TakeName(ref bytes, out name);
        return error == 0 && !bytes.IsEmpty ? -Errno.EINVAL : error;
    }

    private static int OnlyString(ReadOnlySpan<byte> bytes, int longest, out ReadOnlySpan<byte> text)
    {
        var error = TakeString(ref bytes, longest, out text);
        return error == 0 && !bytes.IsEmpty ? -Errno.EINVAL : error;
    }

    // A name that could step out of its directory never reaches the file system, whoever sent it.
    private static int TakeName(scoped ref ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> name)
    {
        var error = TakeString(ref bytes, NameMax, out name);
        return error == 0 && (name.Contains((byte)'/') || name.SequenceEqual("."u8) || name.SequenceEqual(".."u8)) ? -Errno.EINVAL : error;
    }

    private static int TakeString(scoped ref ReadOnlySpan<byte> bytes, int longest, out ReadOnlySpan<byte> text)
    {
        text = default;
        var end = bytes.IndexOf((byte)0);
        if (end <= 0)
            return -Errno.EINVAL;
        if (end > longest)
            return -Errno.ENAMETOOLONG;
        text = bytes[..end];
        bytes = bytes[(end + 1)..];
        return 0;
    }
}
