using System.Runtime.CompilerServices;
using Hikyaku.Fuse;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Holds everything it is given against what <see cref="FileSystem"/> promises, and answers anything that is allowed.</summary>
internal sealed class CheckingFileSystem : FileSystem
{
    private Dice _dice = new(0);

    /// <summary>Operations carried out.</summary>
    public int Calls { get; private set; }

    /// <summary>What the operation answered, and in what the payload was put.</summary>
    public int Answer { get; private set; }

    /// <summary>The most the caller takes, where it says so.</summary>
    public uint PayloadMax { get; private set; }

    public void Begin(Dice dice) => (_dice, Calls, Answer, PayloadMax) = (dice, 0, 0, uint.MaxValue);

    public override int Lookup(in FuseRequest request, ReadOnlySpan<byte> name, FuseReply reply) =>
        Named(request, name) ?? reply.Entry(new EntryOut { NodeId = 1 });

    public override void Forget(ulong nodeId, ulong lookups) => Calls++;

    public override int GetAttr(in FuseRequest request, in GetAttrIn args, FuseReply reply) => Given(request, args) ?? reply.Attr(default);

    public override int SetAttr(in FuseRequest request, in SetAttrIn args, FuseReply reply) => Given(request, args) ?? reply.Attr(default);

    public override int ReadLink(in FuseRequest request, FuseReply reply) => Fill(request, reply);

    public override int Symlink(in FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, FuseReply reply)
    {
        Inside(request, target);
        BrokenPromise.Unless(target.Length is > 0 and <= 4095 && !target.Contains((byte)0), "a target of 1 to 4095 bytes without NUL");
        return Named(request, name) ?? reply.Entry(default);
    }

    public override int MkNod(in FuseRequest request, in MkNodIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Given(request, args) ?? Named(request, name, isSecond: true) ?? reply.Entry(default);

    public override int MkDir(in FuseRequest request, in MkDirIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Given(request, args) ?? Named(request, name, isSecond: true) ?? reply.Entry(default);

    public override int Unlink(in FuseRequest request, ReadOnlySpan<byte> name) => Named(request, name) ?? 0;

    public override int RmDir(in FuseRequest request, ReadOnlySpan<byte> name) => Named(request, name) ?? 0;

    public override int Rename(in FuseRequest request, ReadOnlySpan<byte> name, ulong newParent, ReadOnlySpan<byte> newName, RenameFlags flags) =>
        Named(request, name) ?? Named(request, newName, isSecond: true) ?? 0;

    public override int Link(in FuseRequest request, ulong nodeId, ReadOnlySpan<byte> newName, FuseReply reply) =>
        Named(request, newName) ?? reply.Entry(default);

    public override int Open(in FuseRequest request, in OpenIn args, FuseReply reply) => Given(request, args) ?? reply.Open(1, OpenReplyFlags.DirectIO);

    public override int Read(in FuseRequest request, in ReadIn args, FuseReply reply)
    {
        PayloadMax = args.Size;
        return Given(request, args) ?? Fill(request, reply, isSecond: true);
    }

    public override int Write(in FuseRequest request, in WriteIn args, ReadOnlySpan<byte> data, FuseReply reply)
    {
        BrokenPromise.Unless(args.Size == (uint)data.Length, $"data of {args.Size} bytes, and not {data.Length}");
        Inside(request, data);
        return Given(request, args) ?? reply.Written((uint)data.Length);
    }

    public override int StatFs(in FuseRequest request, FuseReply reply) => Called(request) ?? reply.Put(default(StatFsOut));

    public override int Release(in FuseRequest request, in ReleaseIn args) => Given(request, args) ?? 0;

    public override int FSync(in FuseRequest request, in FSyncIn args) => Given(request, args) ?? 0;

    public override int Flush(in FuseRequest request, in FlushIn args) => Given(request, args) ?? 0;

    public override int OpenDir(in FuseRequest request, in OpenIn args, FuseReply reply) => Given(request, args) ?? reply.Open(1, OpenReplyFlags.None);

    public override int ReadDir(in FuseRequest request, in ReadIn args, FuseReply reply)
    {
        PayloadMax = args.Size;
        if (Given(request, args) is { } answer)
            return answer;
        var names = new DirectoryWriter(reply.Payload);
        for (var i = 1ul; names.TryAdd(i, i, 8, _dice.Bytes(_dice.Between(1, 255))); i++)
            BrokenPromise.Unless(names.Length <= reply.Payload.Length, "names only as far as there is room");
        return Answer = names.Length;
    }

    public override int ReleaseDir(in FuseRequest request, in ReleaseIn args) => Given(request, args) ?? 0;

    public override int FSyncDir(in FuseRequest request, in FSyncIn args) => Given(request, args) ?? 0;

    public override int Create(in FuseRequest request, in CreateIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Given(request, args) ?? Named(request, name, isSecond: true) ?? reply.Created(default, 1, OpenReplyFlags.DirectIO);

    public override int Access(in FuseRequest request, uint mask) => Called(request) ?? 0;

    public override bool Interrupt(ulong unique)
    {
        Calls++;
        BrokenPromise.Unless((unique & FuseRequest.ResentBit) == 0, "an id without the resent bit");
        return true;
    }

    public override int FAllocate(in FuseRequest request, in FAllocateIn args) => Given(request, args) ?? 0;

    public override int LSeek(in FuseRequest request, in LSeekIn args, FuseReply reply) => Given(request, args) ?? reply.Put(default(LSeekOut));

    public override int GetXAttr(in FuseRequest request, in GetXAttrIn args, ReadOnlySpan<byte> name, FuseReply reply)
    {
        Attribute(request, name);
        PayloadMax = args.Size == 0 ? (uint)Unsafe.SizeOf<GetXAttrOut>() : args.Size;
        return args.Size == 0 ? Called(request) ?? reply.Put(default(GetXAttrOut)) : Fill(request, reply);
    }

    public override int ListXAttr(in FuseRequest request, in GetXAttrIn args, FuseReply reply)
    {
        PayloadMax = args.Size == 0 ? (uint)Unsafe.SizeOf<GetXAttrOut>() : args.Size;
        return args.Size == 0 ? Called(request) ?? reply.Put(default(GetXAttrOut)) : Fill(request, reply);
    }

    public override int SetXAttr(in FuseRequest request, in SetXAttrIn args, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        Attribute(request, name);
        Inside(request, value);
        BrokenPromise.Unless(args.Size == (uint)value.Length, $"a value of {args.Size} bytes, and not {value.Length}");
        return Called(request) ?? 0;
    }

    public override int RemoveXAttr(in FuseRequest request, ReadOnlySpan<byte> name)
    {
        Attribute(request, name);
        return Called(request) ?? 0;
    }

    public override void Destroy() => Calls++;

    // An error, a deferral, or null: the operation is to answer by itself.
    private int? Called(in FuseRequest request, bool isSecond = false)
    {
        if (isSecond)
            return null;
        Calls++;
        BrokenPromise.Unless((request.Unique & FuseRequest.ResentBit) == 0, "an id without the resent bit");
        if (!_dice.OneIn(3))
            return null;
        return Answer = _dice.OneIn(4) ? Deferred : -_dice.Between(1, 511);
    }

    private int? Given<T>(in FuseRequest request, in T args)
        where T : unmanaged
    {
        // Looks at every byte: the last one may lie at the end of memory.
        var sum = 0;
        foreach (var value in System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in args)))
            sum += value;
        return Called(request, sum < 0);
    }

    private int? Named(in FuseRequest request, ReadOnlySpan<byte> name, bool isSecond = false)
    {
        Inside(request, name);
        BrokenPromise.Unless(name.Length is > 0 and <= 255, "a name of 1 to 255 bytes");
        BrokenPromise.Unless(!name.ContainsAny("/\0"u8), "a name without slash and NUL");
        BrokenPromise.Unless(!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8), "a name that stays in its directory");
        return Called(request, isSecond);
    }

    private static void Attribute(in FuseRequest request, ReadOnlySpan<byte> name)
    {
        Inside(request, name);
        BrokenPromise.Unless(name.Length is > 0 and <= 255 && !name.Contains((byte)0), "an attribute name of 1 to 255 bytes without NUL");
    }

    private static void Inside(in FuseRequest request, ReadOnlySpan<byte> part) =>
        BrokenPromise.Unless(part.IsEmpty || (request.Body.Overlaps(part, out var at) && at >= 0 && at + part.Length <= request.Body.Length),
            "names and data that lie within the request");

    private int Fill(in FuseRequest request, FuseReply reply, bool isSecond = false)
    {
        if (Called(request, isSecond) is { } answer)
            return answer;
        BrokenPromise.Unless(reply.Payload.Length <= PayloadMax, "no more room than was asked for");
        reply.Payload.Fill(0xEE);
        return Answer = _dice.Below(reply.Payload.Length + 1);
    }
}
