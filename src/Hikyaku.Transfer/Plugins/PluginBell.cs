using System.Runtime.InteropServices;

namespace Hikyaku.Transfer.Plugins;

/// <summary>Wakes a thread that waits for descriptors. Rung before the wait, it ends it at once.</summary>
internal sealed unsafe class PluginBell : IDisposable
{
    public PluginBell()
    {
        Fd = Libc.EventFd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (Fd < 0)
            throw new IOException($"no eventfd: {Marshal.GetPInvokeErrorMessage(Libc.Error)}", Libc.Error);
    }

    public int Fd { get; }

    public void Ring()
    {
        ulong one = 1;
        _ = Libc.Write(Fd, &one, sizeof(ulong));
    }

    public void Wait(TimeSpan longest)
    {
        var fd = new Libc.PollFd { Fd = Fd, Events = Libc.POLLIN };
        _ = Libc.Poll(&fd, 1, (int)Math.Ceiling(longest.TotalMilliseconds));
        Clear();
    }

    public void Clear()
    {
        ulong rings;
        _ = Libc.Read(Fd, &rings, sizeof(ulong));
    }

    public void Dispose() => _ = Libc.Close(Fd);
}
