using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>The mount process on a directory of its own, with a pair of sockets in place of the device: this side plays the kernel.</summary>
internal sealed unsafe partial class MountUnderTest : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-fuzz-mount-").FullName;
    private readonly byte[] _buffer = new byte[256 * 1024];
    private readonly Keep _keep;
    private readonly bool _passes;
    private int _registered;
    private int _socket = -1;
    private Thread? _thread;
    private Exception? _failure;
    private bool _isFirst = true;

    /// <param name="keep">What can be read back.</param>
    /// <param name="passes">Whether files called .log are written past the process; this side gives the backing ids.</param>
    public MountUnderTest(Keep keep, bool passes = false)
    {
        (_keep, _passes) = (keep, passes);
        foreach (var name in new[] { "at", "logs", "mounts" })
            Directory.CreateDirectory(Path.Combine(_root, name));
        Start();
    }

    public ILogStorage Storage => new FileLogStorage(LogDirectory);

    private string LogDirectory => Path.Combine(_root, "logs", "test");

    /// <summary>Sends a request; its answer is the error number (0 or negative) and the payload. Nothing is awaited where none is due.</summary>
    public (int Error, byte[] Payload) Ask(byte[] request)
    {
        fixed (byte* start = request)
            BrokenPromise.Unless(write(_socket, start, (nuint)request.Length) == request.Length, $"a mount process that takes requests; {_failure}");
        var asked = MemoryMarshal.Read<InHeader>(request);
        if (asked.Opcode is Opcode.Forget or Opcode.BatchForget or Opcode.Interrupt)
            return (0, []);
        var reply = Receive();
        var header = MemoryMarshal.Read<OutHeader>(reply);
        BrokenPromise.Unless(header.Unique == asked.Unique, $"an answer to {asked.Opcode} {asked.Unique:x}, not to {header.Unique:x}");
        BrokenPromise.Unless(header.Length == (uint)reply.Length && header.Error is > -512 and <= 0, $"a reply that the kernel takes, not {header.Error} in {header.Length} bytes");
        BrokenPromise.Unless(header.Error == 0 || reply.Length == Unsafe.SizeOf<OutHeader>(), "an error without payload");
        return (header.Error, reply[Unsafe.SizeOf<OutHeader>()..]);
    }

    /// <summary>Writes to a file as the kernel does where it passes it through; one that is not there, or has no room, is left so.</summary>
    public void Grow(string name, int bytes)
    {
        try
        {
            using var file = new FileStream(Path.Combine(_root, "at", name), FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            file.Seek(0, SeekOrigin.End);
            file.Write(new byte[bytes]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A directory, a link to nowhere, or as long as a file can be.
        }
    }

    /// <summary>Ends the process and starts its successor, as after a kill.</summary>
    public void Restart()
    {
        Stop();
        Start();
    }

    /// <summary>Ends the process; it must not have failed.</summary>
    public void Stop()
    {
        if (_thread is null)
            return;
        _ = close(_socket);
        _thread.Join();
        _thread = null;
        if (_failure is not null)
            throw new InvalidOperationException("the mount process failed", _failure);
    }

    public void Dispose()
    {
        Stop();
        Directory.Delete(_root, recursive: true);
    }

    private byte[] Receive()
    {
        fixed (byte* start = _buffer)
        {
            var length = read(_socket, start, (nuint)_buffer.Length);
            BrokenPromise.Unless(length >= Unsafe.SizeOf<OutHeader>(), $"an answer to every request; {_failure}");
            return _buffer.AsSpan(0, (int)length).ToArray();
        }
    }

    private void Start()
    {
        var ends = stackalloc int[2];
        // SOCK_SEQPACKET keeps requests apart, as the device does.
        BrokenPromise.Unless(socketpair(1, 5 | 0x80000, 0, ends) == 0, "a pair of sockets");
        _socket = ends[0];
        var (device, directory) = (ends[1], open(Path.Combine(_root, "at"), 0x200000 | 0x80000, 0));
        var options = new MountOptions
        {
            Name = "test",
            DeviceFd = device,
            Negotiation = _passes ? "45,a000000000,131072,33" : "45,8000000000,131072,33",
            PassesThrough = _passes ? static path => path.EndsWith(".log"u8) : null,
            OpenBacking = _ => ++_registered,
            DirectoryFd = directory,
            StateDirectory = Path.Combine(_root, "mounts", "test"),
            LogDirectory = LogDirectory,
            Log = new LogOptions { SegmentBytes = 1 << 20 },
            Keep = _keep,
            Fresh = _isFirst,
        };
        _isFirst = false;
        _thread = new Thread(() =>
        {
            try
            {
                MountProcess.Run(options, CancellationToken.None);
            }
            catch (Exception e)
            {
                _failure = e;
            }
            _ = close(device);
            _ = close(directory);
        }) { IsBackground = true };
        _thread.Start();
        // First thing, before it reads anything, it asks for what its predecessor left unanswered.
        BrokenPromise.Unless(MemoryMarshal.Read<OutHeader>(Receive()).Error == 7, "a successor asks for what is unanswered");
    }

    [LibraryImport("libc")]
    private static partial int socketpair(int domain, int type, int protocol, int* ends);

    [LibraryImport("libc")]
    private static partial nint read(int fd, byte* buffer, nuint count);

    [LibraryImport("libc")]
    private static partial nint write(int fd, byte* buffer, nuint count);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc")]
    private static partial int close(int fd);
}
