using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>Plays the kernel over a pair of sockets: sends requests as bytes, and again with the resent bit to a successor.</summary>
internal sealed unsafe partial class KernelEnd : IDisposable
{
    public const ulong Resent = FuseRequest.ResentBit;

    private readonly string _root;
    private readonly byte[] _buffer = new byte[256 * 1024];
    private int _socket = -1;
    private Thread? _thread;
    private Exception? _failure;
    private bool _isFirst = true;

    public KernelEnd(Func<MountOptions, MountOptions>? configure = null)
    {
        _root = Directory.CreateTempSubdirectory("hikyaku-kernel-").FullName;
        Configure = configure ?? (static options => options);
        foreach (var name in new[] { "at", "logs", "mounts" })
            Directory.CreateDirectory(Path.Combine(_root, name));
        Start();
    }

    public Func<MountOptions, MountOptions> Configure { get; set; }

    public string Underneath => Path.Combine(_root, "at");

    public string StatePath => Path.Combine(_root, "mounts", "test", "state");

    public ILogStorage Storage => new FileLogStorage(Path.Combine(_root, "logs", "test"));

    public MountCounters Counters { get; private set; } = new();

    /// <summary>Ends the process and starts a successor, as after a kill: what was not read is lost, the state is what it left.</summary>
    public void Restart(Action? between = null)
    {
        Stop();
        between?.Invoke();
        Start();
    }

    /// <summary>A new mount on the same state.</summary>
    public void Remount(Action? between = null)
    {
        Stop();
        between?.Invoke();
        _isFirst = true;
        Start();
    }

    /// <summary>Sends a request and waits for its answer: error number (0 or negative) and payload.</summary>
    public (int Error, byte[] Payload) Ask(Opcode opcode, ulong unique, ulong node, params byte[][] body)
    {
        Send(opcode, unique, node, body);
        var reply = Receive();
        var header = MemoryMarshal.Read<OutHeader>(reply);
        Assert.Equal(unique, header.Unique);
        Assert.Equal(reply.Length, (int)header.Length);
        return (header.Error, reply[Unsafe.SizeOf<OutHeader>()..]);
    }

    public void Send(Opcode opcode, ulong unique, ulong node, params byte[][] body)
    {
        var rest = body.SelectMany(static part => part).ToArray();
        byte[] bytes = [.. Bytes(new InHeader { Length = (uint)(40 + rest.Length), Opcode = opcode, Unique = unique, NodeId = node, Pid = 1 }), .. rest];
        fixed (byte* start = bytes)
            Assert.Equal(bytes.Length, write(_socket, start, (nuint)bytes.Length));
    }

    public byte[] Receive()
    {
        fixed (byte* start = _buffer)
        {
            var length = read(_socket, start, (nuint)_buffer.Length);
            Assert.True(length > 0, $"no answer; {_failure}");
            return _buffer.AsSpan(0, (int)length).ToArray();
        }
    }

    public (ulong Node, ulong Handle) Create(string name, ulong unique, uint flags = 0x41, ulong parent = 1)
    {
        var (error, payload) = Ask(Opcode.Create, unique, parent, Bytes(new CreateIn { Flags = flags, Mode = 0x81A4 }), Name(name));
        Assert.Equal(0, error);
        return (MemoryMarshal.Read<EntryOut>(payload).NodeId, MemoryMarshal.Read<OpenOut>(payload.AsSpan(Unsafe.SizeOf<EntryOut>())).Handle);
    }

    public int Write(ulong handle, ulong unique, string text, ulong offset = 0, uint flags = 0x401)
    {
        var data = Encoding.UTF8.GetBytes(text);
        return Ask(Opcode.Write, unique, 2, Bytes(new WriteIn { Handle = handle, Offset = offset, Size = (uint)data.Length, Flags = flags }), data).Error;
    }

    public static byte[] Name(string name) => [.. Encoding.UTF8.GetBytes(name), 0];

    public static byte[] Bytes<T>(in T value)
        where T : unmanaged
    {
        var bytes = new byte[Unsafe.SizeOf<T>()];
        MemoryMarshal.Write(bytes, value);
        return bytes;
    }

    /// <summary>As <see cref="Records()"/>, once there are so many.</summary>
    public List<string> Records(int count)
    {
        SpinWait.SpinUntil(() => Records().Count >= count, TimeSpan.FromSeconds(30));
        return Records();
    }

    /// <summary>Texts of the Write records, ranges of the extents, and "close" for each Close.</summary>
    public List<string> Records()
    {
        var lines = new List<string>();
        using var reader = new LogReader(Storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                lines.Add(Encoding.UTF8.GetString(write.Data));
            else if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                lines.Add($"{extent.From}..{extent.To} of generation {extent.Generation}");
            else if (record.Kind == RecordKind.Close)
                lines.Add("close");
        }
        return lines;
    }

    public void Stop()
    {
        if (_thread is null)
            return;
        _ = close(_socket);
        Assert.True(_thread.Join(TimeSpan.FromSeconds(30)));
        _thread = null;
        if (_failure is not null)
            throw new InvalidOperationException("the mount process failed", _failure);
    }

    public void Dispose()
    {
        Stop();
        Directory.Delete(_root, recursive: true);
    }

    /// <summary>A program that another test starts holds a copy of the log's lock between fork and exec.</summary>
    public static MountEnd RunWhenFree(MountOptions options)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                return MountProcess.Run(options, CancellationToken.None);
            }
            catch (LogException e) when (e.Fault == LogFault.InUse && tries < 10_000)
            {
                Thread.Yield();
            }
        }
    }

    private void Start()
    {
        var ends = stackalloc int[2];
        // SOCK_SEQPACKET keeps requests apart, as the device does.
        Assert.Equal(0, socketpair(1, 5 | 0x80000, 0, ends));
        _socket = ends[0];
        var (device, directory) = (ends[1], open(Underneath, 0x200000 | 0x80000, 0));
        var options = Configure(new MountOptions
        {
            Name = "test",
            DeviceFd = device,
            Negotiation = "45,8000000000,131072,33",
            DirectoryFd = directory,
            StateDirectory = Path.GetDirectoryName(StatePath)!,
            LogDirectory = Path.Combine(_root, "logs", "test"),
            Log = new LogOptions { SegmentBytes = 1 << 20 },
            Fresh = _isFirst,
        });
        Counters = options.Counters;
        _isFirst = false;
        _thread = new Thread(() =>
        {
            try
            {
                RunWhenFree(options);
            }
            catch (Exception e)
            {
                _failure = e;
            }
            _ = close(device);
            _ = close(directory);
        }) { IsBackground = true };
        _thread.Start();
        // First thing, before it reads anything.
        Assert.Equal(7, MemoryMarshal.Read<OutHeader>(Receive()).Error);
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
