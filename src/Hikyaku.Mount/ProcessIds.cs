using System.Buffers.Text;

namespace Hikyaku.Mount;

/// <summary>From the thread id in a request to the process id, by /proc; a small cache with an age limit, since ids are used again.</summary>
internal sealed unsafe class ProcessIds
{
    private const int Entries = 64;
    private const long LifetimeNs = 1_000_000_000;

    private readonly uint[] _threads = new uint[Entries];
    private readonly uint[] _processes = new uint[Entries];
    private readonly long[] _expires = new long[Entries];

    /// <summary>The process of a thread that may be known already.</summary>
    public uint Of(uint thread, long now)
    {
        var entry = thread % Entries;
        return _threads[entry] == thread && now < _expires[entry] ? _processes[entry] : Resolve(thread, now);
    }

    /// <summary>Asks /proc; the thread id itself where that does not know it (another pid namespace, or the thread is gone).</summary>
    public uint Resolve(uint thread, long now)
    {
        var entry = thread % Entries;
        var process = thread == 0 ? 0 : Read(thread);
        (_threads[entry], _processes[entry], _expires[entry]) = (thread, process, now + LifetimeNs);
        return process;
    }

    private static uint Read(uint thread)
    {
        const int capacity = 1024;
        var buffer = stackalloc byte[capacity];
        var text = new Span<byte>(buffer, capacity);
        "/proc/"u8.CopyTo(text);
        Utf8Formatter.TryFormat(thread, text[6..], out var digits);
        "/status\0"u8.CopyTo(text[(6 + digits)..]);
        var fd = Libc.OpenBytes(buffer, Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return thread;
        var length = Libc.Read(fd, buffer, capacity);
        _ = Libc.Close(fd);
        var status = new ReadOnlySpan<byte>(buffer, (int)Math.Max(length, 0));
        var at = status.IndexOf("\nTgid:\t"u8);
        return at >= 0 && Utf8Parser.TryParse(status[(at + 7)..], out uint process, out _) ? process : thread;
    }
}
