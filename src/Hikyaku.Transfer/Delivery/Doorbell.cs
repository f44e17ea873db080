using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// The tail of a log that the mount process writes. A mapped word tells the mount whether anybody sleeps; only then does it
/// ring, by writing the inherited eventfd. So a busy mount pays no system call for telling, and an idle transfer burns nothing.
/// </summary>
internal sealed unsafe partial class Doorbell : LogTail
{
    private const int WordBytes = 8;

    private readonly SafeFileHandle _word;
    private readonly long* _sleeping;
    private readonly int _eventFd;
    private readonly Thread _listener;
    private bool _stopping;

    private Doorbell(SafeFileHandle word, long* sleeping, int eventFd, string name)
    {
        _word = word;
        _sleeping = sleeping;
        _eventFd = eventFd;
        _listener = new Thread(Listen) { IsBackground = true, Name = "doorbell " + name };
        _listener.Start();
    }

    public static Doorbell Open(string path, int eventFd, string name)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        // Written, not just lengthened: a store into a hole on a full disk would kill this process.
        if (stream.Length < WordBytes)
            stream.Write(stackalloc byte[WordBytes]);
        stream.Flush();
        var handle = new SafeFileHandle(Duplicate(stream.SafeFileHandle), ownsHandle: true);
        var word = Map(0, WordBytes, ProtRead | ProtWrite, MapShared, (int)handle.DangerousGetHandle(), 0);
        if (word == -1)
            throw new IOException($"{path}: cannot be mapped (errno {Marshal.GetLastPInvokeError()})");
        return new Doorbell(handle, (long*)word, eventFd, name);
    }

    public override void Arm()
    {
        Volatile.Write(ref *_sleeping, 1);
        // The word must be seen before the log is looked at again; the mount fences between its append and its look at the word.
        Interlocked.MemoryBarrier();
    }

    public override void Dispose()
    {
        Volatile.Write(ref _stopping, true);
        ulong one = 1;
        _ = Write(_eventFd, &one, sizeof(ulong));
        _listener.Join();
        _ = Unmap((nint)_sleeping, WordBytes);
        _word.Dispose();
    }

    private void Listen()
    {
        ulong rings;
        while (true)
        {
            var got = Read(_eventFd, &rings, sizeof(ulong));
            if (got < 0 && Marshal.GetLastPInvokeError() is var error && error is not Eintr and not Eagain)
                throw new IOException($"the doorbell (eventfd {_eventFd}) cannot be read: errno {error}");
            Volatile.Write(ref *_sleeping, 0);
            if (Volatile.Read(ref _stopping))
                return;
            Pulse();
        }
    }

    private const int ProtRead = 1, ProtWrite = 2, MapShared = 1, Eintr = 4, Eagain = 11;

    private static nint Duplicate(SafeFileHandle handle) => Dup(handle) is >= 0 and var fd ? fd : throw new IOException("dup failed");

    [LibraryImport("libc", EntryPoint = "dup", SetLastError = true)]
    private static partial int Dup(SafeFileHandle fd);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int fd, ulong* buffer, nuint count);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int fd, ulong* buffer, nuint count);
}
