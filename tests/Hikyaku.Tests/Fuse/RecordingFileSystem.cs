using System.Text;
using Hikyaku.Fuse;

namespace Hikyaku.Tests.Fuse;

/// <summary>Writes down each operation as it arrives.</summary>
internal sealed class RecordingFileSystem : FileSystem
{
    public List<string> Calls { get; } = [];

    /// <summary>What operations without a payload of their own return.</summary>
    public int Answer { get; set; }

    public string Last => Calls[^1];

    public override int Lookup(in FuseRequest request, ReadOnlySpan<byte> name, FuseReply reply)
    {
        Note(request, $"name={Text(name)}");
        return Answer < 0 ? Answer : reply.Entry(new EntryOut { NodeId = 99 });
    }

    public override void Forget(ulong nodeId, ulong lookups) => Calls.Add($"Forget node={nodeId} lookups={lookups}");

    public override int GetAttr(in FuseRequest request, in GetAttrIn args, FuseReply reply) =>
        Note(request, $"flags={args.Flags} handle={args.Handle}");

    public override int SetAttr(in FuseRequest request, in SetAttrIn args, FuseReply reply) =>
        Note(request, $"valid={args.Valid} handle={args.Handle} size={args.Size} atime={args.ATime}.{args.ATimeNsec}"
            + $" mtime={args.MTime}.{args.MTimeNsec} mode={args.Mode} uid={args.Uid} gid={args.Gid}");

    public override int ReadLink(in FuseRequest request, FuseReply reply)
    {
        Note(request, "");
        return reply.Bytes("target"u8);
    }

    public override int Symlink(in FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, FuseReply reply) =>
        Note(request, $"name={Text(name)} target={Text(target)}");

    public override int MkNod(in FuseRequest request, in MkNodIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Note(request, $"mode={args.Mode} rdev={args.Rdev} umask={args.Umask} name={Text(name)}");

    public override int MkDir(in FuseRequest request, in MkDirIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Note(request, $"mode={args.Mode} umask={args.Umask} name={Text(name)}");

    public override int Unlink(in FuseRequest request, ReadOnlySpan<byte> name) => Note(request, $"name={Text(name)}");

    public override int RmDir(in FuseRequest request, ReadOnlySpan<byte> name) => Note(request, $"name={Text(name)}");

    public override int Rename(
        in FuseRequest request, ReadOnlySpan<byte> name, ulong newParent, ReadOnlySpan<byte> newName, RenameFlags flags) =>
        Note(request, $"name={Text(name)} to={newParent}/{Text(newName)} flags={flags}");

    public override int Link(in FuseRequest request, ulong nodeId, ReadOnlySpan<byte> newName, FuseReply reply) =>
        Note(request, $"file={nodeId} name={Text(newName)}");

    public override int Open(in FuseRequest request, in OpenIn args, FuseReply reply)
    {
        Note(request, $"flags={args.Flags}");
        return reply.Open(5, OpenReplyFlags.DirectIO);
    }

    public override int Read(in FuseRequest request, in ReadIn args, FuseReply reply)
    {
        Note(request, $"handle={args.Handle} offset={args.Offset} room={reply.Payload.Length}");
        reply.Payload.Fill((byte)'x');
        return reply.Payload.Length;
    }

    public override int Write(in FuseRequest request, in WriteIn args, ReadOnlySpan<byte> data, FuseReply reply)
    {
        Note(request, $"handle={args.Handle} offset={args.Offset} flags={args.WriteFlags} data={Text(data)}");
        return reply.Written((uint)data.Length);
    }

    public override int StatFs(in FuseRequest request, FuseReply reply) => Note(request, "");

    public override int Release(in FuseRequest request, in ReleaseIn args) =>
        Note(request, $"handle={args.Handle} flags={args.Flags} owner={args.LockOwner}");

    public override int FSync(in FuseRequest request, in FSyncIn args) => Note(request, $"handle={args.Handle} flags={args.Flags}");

    public override int Flush(in FuseRequest request, in FlushIn args) => Note(request, $"handle={args.Handle} owner={args.LockOwner}");

    public override int OpenDir(in FuseRequest request, in OpenIn args, FuseReply reply) => Note(request, $"flags={args.Flags}");

    public override int ReadDir(in FuseRequest request, in ReadIn args, FuseReply reply) =>
        Note(request, $"handle={args.Handle} offset={args.Offset} room={reply.Payload.Length}");

    public override int ReleaseDir(in FuseRequest request, in ReleaseIn args) => Note(request, $"handle={args.Handle}");

    public override int FSyncDir(in FuseRequest request, in FSyncIn args) => Note(request, $"handle={args.Handle} flags={args.Flags}");

    public override int Create(in FuseRequest request, in CreateIn args, ReadOnlySpan<byte> name, FuseReply reply)
    {
        Note(request, $"flags={args.Flags} mode={args.Mode} umask={args.Umask} name={Text(name)}");
        return reply.Created(new EntryOut { NodeId = 99 }, 6, OpenReplyFlags.DirectIO);
    }

    public override int Access(in FuseRequest request, uint mask) => Note(request, $"mask={mask}");

    public override bool Interrupt(ulong unique)
    {
        Calls.Add($"Interrupt unique={unique}");
        return true;
    }

    public override int FAllocate(in FuseRequest request, in FAllocateIn args) =>
        Note(request, $"handle={args.Handle} offset={args.Offset} length={args.Length} mode={args.Mode}");

    public override int LSeek(in FuseRequest request, in LSeekIn args, FuseReply reply) =>
        Note(request, $"handle={args.Handle} offset={args.Offset} whence={args.Whence}");

    public override int GetXAttr(in FuseRequest request, in GetXAttrIn args, ReadOnlySpan<byte> name, FuseReply reply) =>
        Note(request, $"size={args.Size} name={Text(name)}");

    public override int ListXAttr(in FuseRequest request, in GetXAttrIn args, FuseReply reply) => Note(request, $"size={args.Size}");

    public override int SetXAttr(in FuseRequest request, in SetXAttrIn args, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) =>
        Note(request, $"flags={args.Flags} name={Text(name)} value={Text(value)}");

    public override int RemoveXAttr(in FuseRequest request, ReadOnlySpan<byte> name) => Note(request, $"name={Text(name)}");

    public override void Destroy() => Calls.Add("Destroy");

    private int Note(in FuseRequest request, string what)
    {
        Calls.Add($"{request.Opcode} node={request.NodeId} {what}".TrimEnd(' '));
        return Answer;
    }

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);
}
