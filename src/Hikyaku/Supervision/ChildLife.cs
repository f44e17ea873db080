using System.Runtime.InteropServices;
using System.Text;

namespace Hikyaku.Supervision;

/// <summary>What every child does at its start: it leaves signals to the supervisor and ends when its standard input does.</summary>
internal static unsafe class ChildLife
{
    /// <summary>Cancelled when the supervisor wants an end, or is gone.</summary>
    public static CancellationTokenSource Begin()
    {
        // A Ctrl-C goes to the whole group of processes; the order of the end is the supervisor's affair.
        _ = Libc.Signal(Libc.SIGINT, Libc.SIG_IGN);
        _ = Libc.Signal(Libc.SIGTERM, Libc.SIG_IGN);
        _ = Libc.Signal(Libc.SIGHUP, Libc.SIG_IGN);
        var stop = new CancellationTokenSource();
        new Thread(() =>
        {
            byte one;
            nint read;
            do
                read = Libc.Read(0, &one, 1);
            while (read > 0 || (read < 0 && Marshal.GetLastPInvokeError() is Libc.EINTR));
            try
            {
                stop.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // It ended by itself meanwhile.
            }
        })
        { IsBackground = true, Name = "supervisor's pipe" }.Start();
        return stop;
    }

    /// <summary>Tells the supervisor that this process works.</summary>
    public static void TellReady()
    {
        var line = Encoding.ASCII.GetBytes(ChildProcess.ReadyLine + "\n");
        fixed (byte* bytes = line)
            _ = Libc.Write(1, bytes, (nuint)line.Length);
    }
}
