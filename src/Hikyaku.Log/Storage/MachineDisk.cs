using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Hikyaku.Log;

internal sealed class MachineDisk : Disk
{
    private readonly Lazy<Guid> _boot = new(static () => Guid.Parse(File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()));

    public override Guid Boot => _boot.Value;

    public override ILogStorage Log(string directory) => new FileLogStorage(directory);

    public override DiskFile? Open(string path, Opening how)
    {
        var (flags, mode) = how switch
        {
            Opening.Existing => (Libc.O_RDONLY, 0u),
            Opening.ExistingAmongForeign => (Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_NOCTTY, 0u),
            Opening.ExistingToChange => (Libc.O_RDWR, 0u),
            Opening.Own => (Libc.O_RDWR | Libc.O_CREAT, 0x180u /* 0600 */),
            Opening.OwnAnew => (Libc.O_RDWR | Libc.O_CREAT | Libc.O_TRUNC, 0x180u),
            _ => (Libc.O_RDWR | Libc.O_CREAT | Libc.O_APPEND | Libc.O_NOCTTY, 0x1A0u /* 0640 */),
        };
        // That we read a program's file is no use of it; only its owner and root may read without leaving that trace.
        int fd = how is Opening.Existing or Opening.ExistingAmongForeign ? Libc.Open(path, flags | Libc.O_CLOEXEC | Libc.O_NOATIME, mode) : -1;
        if (fd < 0) fd = Libc.Open(path, flags | Libc.O_CLOEXEC, mode);
        if (fd >= 0 && how == Opening.ExistingAmongForeign && !IsRegular(fd))
        {
            _ = Libc.Close(fd);
            return null;
        }
        if (fd >= 0) return new MachineFile(new SafeFileHandle(fd, ownsHandle: true), path);
        if (how == Opening.ExistingAmongForeign && Libc.Error is (Libc.ELOOP or Libc.ENXIO)) return null;
        return how is Opening.Existing or Opening.ExistingAmongForeign or Opening.ExistingToChange && Libc.Error == Libc.ENOENT ? null : throw Failure(path, "cannot be opened", Libc.Error);
    }

    public override void Rename(string from, string to)
    {
        if (Libc.Rename(from, to) != 0) throw Failure(from, $"cannot be renamed to {to}", Libc.Error);
    }

    public override IReadOnlyList<string> List(string directory)
    {
        try
        {
            return Directory.GetFiles(directory);
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    public override void MakeDirectory(string path, UnixFileMode mode)
    {
        if (path.Length == 0) return;
        string? parent = Path.GetDirectoryName(path);
        int error = Make();
        if (error == Libc.ENOENT && !string.IsNullOrEmpty(parent))
        {
            MakeDirectory(parent, mode);
            error = Make();
        }
        if (error == Libc.EEXIST && !IsDirectory(path)) error = Libc.ENOTDIR;
        if (error is not 0 and not Libc.EEXIST) throw Failure(path, "cannot be made", error);
        // Whatever is synced in it would be lost with its name.
        if (error == 0 && !string.IsNullOrEmpty(parent)) SyncDirectory(parent);

        int Make() => Libc.MakeDirectory(path, (uint)mode) == 0 ? 0 : Libc.Error;
    }

    private static bool IsDirectory(string path)
    {
        Span<byte> buffer = stackalloc byte[256];
        return Libc.Statx(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, ref MemoryMarshal.GetReference(buffer)) == 0
            && (MemoryMarshal.Read<ushort>(buffer[28..]) & 0xF000) == 0x4000;
    }

    private static bool IsRegular(int fd)
    {
        Span<byte> buffer = stackalloc byte[256];
        return Libc.Statx(fd, "", Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS, ref MemoryMarshal.GetReference(buffer)) == 0
            && (MemoryMarshal.Read<ushort>(buffer[28..]) & 0xF000) == 0x8000;
    }

    public override void SyncDirectory(string path)
    {
        int fd = Libc.Open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (fd < 0) throw Failure(path, "cannot be opened", Libc.Error);
        int error = Libc.Sync(fd) == 0 ? 0 : Libc.Error;
        _ = Libc.Close(fd);
        if (error != 0) throw Failure(path, "cannot be synced", error);
    }

    public override bool TryStat(string path, out ulong inode, out long length)
    {
        // stat(2) through the C library's versioned struct differs by architecture; statx(2) does not.
        Span<byte> buffer = stackalloc byte[256];
        if (Libc.Statx(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, ref MemoryMarshal.GetReference(buffer)) != 0)
        {
            (inode, length) = (0, 0);
            int error = Libc.Error;
            return error is Libc.ENOENT or Libc.ENOTDIR ? false : throw Failure(path, "cannot be looked at", error);
        }
        inode = MemoryMarshal.Read<ulong>(buffer[32..]);
        length = MemoryMarshal.Read<long>(buffer[40..]);
        return true;
    }

    internal static IOException Failure(string path, string what, int error) => new($"{path}: {what}: {Marshal.GetPInvokeErrorMessage(error)}", error);
}

internal sealed unsafe class MachineFile(SafeFileHandle handle, string path) : DiskFile
{
    private int Fd => (int)handle.DangerousGetHandle();

    public override int Read(Span<byte> target, long at)
    {
        int total = 0;
        fixed (byte* bytes = target)
        {
            while (total < target.Length)
            {
                nint got = Libc.PRead(Fd, bytes + total, target.Length - total, at + total);
                if (got == 0) break;
                if (got > 0) total += (int)got;
                else if (Libc.Error is not Libc.EINTR and var error) throw MachineDisk.Failure(path, "cannot be read", error);
            }
        }
        return total;
    }

    public override void Write(ReadOnlySpan<byte> source, long at)
    {
        fixed (byte* bytes = source)
        {
            for (int done = 0; done < source.Length;)
            {
                nint put = Libc.PWrite(Fd, bytes + done, source.Length - done, at + done);
                if (put >= 0) done += (int)put;
                else if (Libc.Error is not Libc.EINTR and var error) throw MachineDisk.Failure(path, "cannot be written", error);
            }
        }
    }

    public override int Append(ReadOnlySpan<byte> source)
    {
        fixed (byte* bytes = source)
        {
            while (true)
            {
                nint put = Libc.Write(Fd, bytes, source.Length);
                if (put > 0 || source.IsEmpty) return (int)put;
                // Nothing taken and no error: a full disk says it so only here and there.
                int error = put == 0 ? Libc.ENOSPC : Libc.Error;
                if (error != Libc.EINTR) throw MachineDisk.Failure(path, "cannot be written", error);
            }
        }
    }

    public override void Truncate(long length)
    {
        while (Libc.Truncate(Fd, length) != 0)
        {
            int error = Libc.Error;
            if (error != Libc.EINTR) throw MachineDisk.Failure(path, "cannot be cut", error);
        }
    }

    public override void Allocate(long bytes)
    {
        while (Libc.FAllocate(Fd, Libc.FALLOC_FL_KEEP_SIZE, 0, bytes) != 0)
        {
            int error = Libc.Error;
            // A file system that cannot allocate ahead has no room to promise.
            if (error == Libc.EOPNOTSUPP) return;
            if (error != Libc.EINTR) throw MachineDisk.Failure(path, $"has no room for {bytes} bytes", error);
        }
    }

    public override void Sync()
    {
        while (Libc.Sync(Fd) != 0)
        {
            int error = Libc.Error;
            if (error != Libc.EINTR) throw MachineDisk.Failure(path, "cannot be synced", error);
        }
    }

    public override void Dispose() => handle.Dispose();
}
