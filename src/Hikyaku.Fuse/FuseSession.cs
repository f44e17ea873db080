namespace Hikyaku.Fuse;

/// <summary>
/// Serves one file system from one thread. Several sessions, each on its own thread, may share a device if the file system allows it.
/// </summary>
public sealed unsafe class FuseSession : IDisposable
{
    private readonly FuseDevice _device;
    private readonly FileSystem _system;
    private readonly FuseBuffer _request;
    private readonly FuseBuffer _reply;

    public FuseSession(FuseDevice device, FuseNegotiation negotiation, FileSystem system)
    {
        _device = device;
        _system = system;
        _request = new FuseBuffer(negotiation.RequestBytes);
        _reply = new FuseBuffer(negotiation.ReplyBytes);
    }

    /// <summary>Serves requests on the calling thread until the mount is gone; allocates nothing.</summary>
    /// <returns>How it ended; never <see cref="FuseReadResult.Request"/>.</returns>
    public FuseReadResult Run()
    {
        FuseReadResult result;
        while ((result = RunOne()) == FuseReadResult.Request)
        {
        }
        return result;
    }

    /// <summary>Waits for one request, if the device waits, and serves it.</summary>
    public FuseReadResult RunOne()
    {
        var result = _device.Read(_request.Pointer, _request.Length, out var length);
        if (result != FuseReadResult.Request)
            return result;
        var reply = FuseDispatch.Dispatch(
            _system, new ReadOnlySpan<byte>(_request.Pointer, length), new Span<byte>(_reply.Pointer, _reply.Length));
        if (reply > 0)
            _device.Send(_reply.Pointer, reply);
        return FuseReadResult.Request;
    }

    /// <summary>Gives the buffers back; not while <see cref="Run"/> is running. The device stays open.</summary>
    public void Dispose()
    {
        _request.Dispose();
        _reply.Dispose();
    }
}
