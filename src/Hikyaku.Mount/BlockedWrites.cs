using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>Writes that wait for room in the log, in the order they came. One thread only.</summary>
internal sealed class BlockedWrites
{
    private const long BytesMax = 64 << 20;

    private readonly LinkedList<Write> _writes = [];
    private long _bytes;

    public int Count => _writes.Count;

    /// <summary>A copy of a WRITE request.</summary>
    public sealed record Write(OpenHandle Handle, ulong RawUnique, uint Uid, uint Thread, ulong Offset, uint Flags, byte[] Data);

    /// <summary>False when there are too many bytes waiting already.</summary>
    public bool TryAdd(in FuseRequest request, in WriteIn args, OpenHandle handle, ReadOnlySpan<byte> data)
    {
        if (_bytes + data.Length > BytesMax)
            return false;
        _bytes += data.Length;
        _writes.AddLast(new Write(handle, request.RawUnique, request.Uid, request.Pid, args.Offset, args.Flags, data.ToArray()));
        return true;
    }

    public Write First => _writes.First!.Value;

    public void RemoveFirst() => Remove(_writes.First!);

    /// <summary>Takes a write out whose caller was interrupted.</summary>
    public Write? Take(ulong unique)
    {
        for (var node = _writes.First; node is not null; node = node.Next)
        {
            if ((node.Value.RawUnique & ~FuseRequest.ResentBit) != unique)
                continue;
            Remove(node);
            return node.Value;
        }
        return null;
    }

    private void Remove(LinkedListNode<Write> node)
    {
        _bytes -= node.Value.Data.Length;
        _writes.Remove(node);
    }
}
