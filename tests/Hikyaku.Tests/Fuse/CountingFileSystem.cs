using Hikyaku.Fuse;

namespace Hikyaku.Tests.Fuse;

/// <summary>Takes writes and keeps their number of bytes.</summary>
internal sealed class CountingFileSystem : FileSystem
{
    public long Bytes { get; private set; }

    public override int Write(in FuseRequest request, in WriteIn args, ReadOnlySpan<byte> data, FuseReply reply)
    {
        Bytes += data.Length;
        return reply.Written((uint)data.Length);
    }
}
