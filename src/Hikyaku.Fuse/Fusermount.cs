using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>The set-user-id program that mounts for ordinary users; it sends the opened device over a socket.</summary>
internal static unsafe class Fusermount
{
    private const string Program = "fusermount3";

    public static FuseDevice Mount(string path, string source, bool allowOther, bool noExec = false)
    {
        var options = $"fsname={Escape(source)},subtype={FuseMount.Subtype},nosuid,nodev{(noExec ? ",noexec" : "")},default_permissions{(allowOther ? ",allow_other" : "")}";
        var ends = stackalloc int[2];
        if (Libc.SocketPair(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0, ends) < 0)
            throw new FuseException(FuseFailure.Other, $"no socket pair: {Errno.Text(Marshal.GetLastPInvokeError())}");
        try
        {
            using var process = StartWith(ends[1], ["-o", options, "--", path]);
            // Only the child holds the other end now, so its end is the end of the stream.
            Close(ref ends[1]);
            var fd = ReceiveDescriptor(ends[0]);
            var words = process.StandardError.ReadToEnd().Trim();
            process.WaitForExit();
            if (fd >= 0)
                return FuseDevice.FromDescriptor(fd);
            throw new FuseException(Classify(words), $"cannot mount on {path}: {(words.Length > 0 ? words : $"{Program} ended with {process.ExitCode}")}");
        }
        finally
        {
            Close(ref ends[0]);
            Close(ref ends[1]);
        }
    }

    public static void Unmount(string path, bool lazily)
    {
        using var process = Start(["-u", .. lazily ? new[] { "-z" } : [], "--", path], null);
        var words = process.StandardError.ReadToEnd().Trim();
        process.WaitForExit();
        if (process.ExitCode == 0)
            return;
        throw words.Contains("busy", StringComparison.OrdinalIgnoreCase)
            ? FuseMount.StillBusy(path)
            : new FuseException(Classify(words), $"cannot unmount {path}: {(words.Length > 0 ? words : $"{Program} ended with {process.ExitCode}")}");
    }

    private static Process StartWith(int socket, string[] arguments)
    {
        _ = Libc.Fcntl(socket, Libc.F_SETFD, 0);
        return Start(arguments, socket.ToString(CultureInfo.InvariantCulture));
    }

    private static Process Start(string[] arguments, string? socket)
    {
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardError = true, UseShellExecute = false };
        start.Environment["LC_ALL"] = "C";
        if (socket is not null)
            start.Environment["_FUSE_COMMFD"] = socket;
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e) when (e.NativeErrorCode == Errno.ENOENT)
        {
            throw new FuseException(FuseFailure.FusermountMissing,
                $"{Program} is not installed, and only root can do without it: install the package fuse3, or run as root");
        }
    }

    /// <summary>The descriptor sent over a socket, or -1 when the stream ends without one.</summary>
    internal static int ReceiveDescriptor(int socket)
    {
        byte data;
        var control = stackalloc ulong[8];
        var part = new Libc.IoVec { Start = &data, Length = 1 };
        var message = new Libc.MsgHdr { Parts = &part, PartCount = 1, Control = control, ControlLength = 8 * sizeof(ulong) };
        nint n;
        while ((n = Libc.RecvMsg(socket, &message, Libc.MSG_CMSG_CLOEXEC)) < 0 && Marshal.GetLastPInvokeError() == Errno.EINTR)
        {
        }
        var first = (Libc.CMsgHdr*)control;
        return n > 0 && message.ControlLength >= (nuint)(sizeof(Libc.CMsgHdr) + sizeof(int))
            && first->Level == Libc.SOL_SOCKET && first->Type == Libc.SCM_RIGHTS
            ? *(int*)(first + 1)
            : -1;
    }

    // The option list is split at commas; a backslash protects one.
    private static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace(",", "\\,", StringComparison.Ordinal);

    private static FuseFailure Classify(string words) =>
        words.Contains("denied", StringComparison.Ordinal) || words.Contains("not permitted", StringComparison.Ordinal)
            || words.Contains("no write access", StringComparison.Ordinal)
            ? FuseFailure.NoPrivilege
            : FuseFailure.Other;

    private static void Close(ref int fd)
    {
        if (fd >= 0)
            _ = Libc.Close(fd);
        fd = -1;
    }
}
