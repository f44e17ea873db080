using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>Writes that wait for room in the log, in the order they came. One thread only.</summary>
internal sealed class BlockedWrites
{
    private readonly LinkedList<Write> _writes = [];

    public int Count => _writes.Count;

    /// <summary>A copy of a WRITE request.</summary>
    public sealed record Write(OpenHandle Handle, ulong RawUnique, uint Uid, uint Thread, ulong Offset, uint Flags, byte[] Data);

    public void Add(in FuseRequest request, in WriteIn args, OpenHandle handle, ReadOnlySpan<byte> data) =>
        _writes.AddLast(new Write(handle, request.RawUnique, request.Uid, request.Pid, args.Offset, args.Flags, data.ToArray()));

    public Write First => _writes.First!.Value;

    public void RemoveFirst() => _writes.RemoveFirst();

    /// <summary>Takes a write out whose caller was interrupted.</summary>
    public Write? Take(ulong unique)
    {
        for (var node = _writes.First; node is not null; node = node.Next)
        {
            if ((node.Value.RawUnique & ~FuseRequest.ResentBit) != unique)
                continue;
            _writes.Remove(node);
            return node.Value;
        }
        return null;
    }
}
