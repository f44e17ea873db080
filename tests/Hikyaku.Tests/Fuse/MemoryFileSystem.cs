using System.Text;
using Hikyaku.Fuse;

namespace Hikyaku.Tests.Fuse;

/// <summary>One flat directory of files in memory.</summary>
internal sealed class MemoryFileSystem : FileSystem
{
    private const uint DirectoryMode = 0x4000 | 0x1ff;
    private const uint FileMode = 0x8000 | 0x1b6;
    private readonly List<(string Name, MemoryStream Content)> _files = [];
    private int _unanswered;

    /// <summary>When set, the next write is read and not answered, as if the process had died over it.</summary>
    public bool ForgetNextWrite { get; set; }

    public ManualResetEventSlim WriteForgotten { get; } = new();

    public List<(ulong Unique, bool Resent)> Writes { get; } = [];

    public override int Lookup(in FuseRequest request, ReadOnlySpan<byte> name, FuseReply reply)
    {
        var wanted = Encoding.UTF8.GetString(name);
        var index = _files.FindIndex(file => string.Equals(file.Name, wanted, StringComparison.Ordinal));
        return index < 0 ? -Errno.ENOENT : reply.Entry(Entry((ulong)index + 2));
    }

    public override int GetAttr(in FuseRequest request, in GetAttrIn args, FuseReply reply) =>
        reply.Attr(new AttrOut { Attr = Attr(request.NodeId) });

    public override int SetAttr(in FuseRequest request, in SetAttrIn args, FuseReply reply)
    {
        if (args.Valid.HasFlag(SetAttrValid.Size))
            Content(request.NodeId).SetLength((long)args.Size);
        return reply.Attr(new AttrOut { Attr = Attr(request.NodeId) });
    }

    public override int Create(in FuseRequest request, in CreateIn args, ReadOnlySpan<byte> name, FuseReply reply)
    {
        _files.Add((Encoding.UTF8.GetString(name), new MemoryStream()));
        return reply.Created(Entry((ulong)_files.Count + 1), (ulong)_files.Count + 1, OpenReplyFlags.DirectIO);
    }

    public override int Open(in FuseRequest request, in OpenIn args, FuseReply reply) => reply.Open(request.NodeId, OpenReplyFlags.DirectIO);

    public override int Read(in FuseRequest request, in ReadIn args, FuseReply reply)
    {
        var content = Content(request.NodeId);
        content.Position = (long)args.Offset;
        return content.Read(reply.Payload);
    }

    public override int Write(in FuseRequest request, in WriteIn args, ReadOnlySpan<byte> data, FuseReply reply)
    {
        Writes.Add((request.Unique, request.Resent));
        if (ForgetNextWrite && _unanswered++ == 0)
        {
            WriteForgotten.Set();
            return Deferred;
        }
        var content = Content(request.NodeId);
        content.Position = (long)args.Offset;
        content.Write(data);
        return reply.Written((uint)data.Length);
    }

    public override int Flush(in FuseRequest request, in FlushIn args) => 0;

    public override int Release(in FuseRequest request, in ReleaseIn args) => 0;

    public override int OpenDir(in FuseRequest request, in OpenIn args, FuseReply reply) => reply.Open(0, OpenReplyFlags.None);

    public override int ReleaseDir(in FuseRequest request, in ReleaseIn args) => 0;

    public override int ReadDir(in FuseRequest request, in ReadIn args, FuseReply reply)
    {
        var writer = new DirectoryWriter(reply.Payload);
        for (var i = (int)args.Offset; i < _files.Count; i++)
        {
            if (!writer.TryAdd((ulong)i + 2, (ulong)i + 1, FileMode >> 12, Encoding.UTF8.GetBytes(_files[i].Name)))
                break;
        }
        return writer.Length;
    }

    public override int StatFs(in FuseRequest request, FuseReply reply) => reply.Put(new StatFsOut { BlockSize = 4096, NameLength = 255 });

    private MemoryStream Content(ulong node) => _files[(int)node - 2].Content;

    private EntryOut Entry(ulong node) => new() { NodeId = node, EntryValid = 1, Attr = Attr(node) };

    private Attr Attr(ulong node) => node == RootNodeId
        ? new Attr { Ino = node, Mode = DirectoryMode, Nlink = 2 }
        : new Attr { Ino = node, Mode = FileMode, Nlink = 1, Size = (ulong)Content(node).Length, BlockSize = 4096 };
}
