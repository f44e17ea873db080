using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Hikyaku.Transfer.Outputs;

/// <summary>The name itself is the fault: no waiting will make this path a file.</summary>
internal sealed class MisplacedException(string message) : IOException(message);

/// <summary>One output file, open for appending. Its inode tells whether somebody moved it away.</summary>
internal sealed partial class FileTarget
{
    private readonly bool _syncOnClose;
    private SafeFileHandle? _handle;

    public FileTarget(byte[] path, bool syncOnClose)
    {
        _syncOnClose = syncOnClose;
        Path = path;
        Name = Encoding.UTF8.GetString(path);
    }

    public byte[] Path { get; }
    public string Name { get; }
    public ulong Inode { get; private set; }

    /// <summary>Bytes in the file, all of them ours or found there.</summary>
    public long Length { get; private set; }

    /// <summary>
    /// Opens the file, again if the name stands for another file by now, and looks how long it is. Throws IOException or
    /// UnauthorizedAccessException; <see cref="MisplacedException"/> if the name can be no file.
    /// </summary>
    public void Refresh()
    {
        if (_handle is null || !TryStat(Name, out var inode, out var length) || inode != Inode)
        {
            Close();
            _handle = Open();
            if (!TryStat(Name, out inode, out length))
                throw new IOException($"{Name}: vanished while it was opened");
            Inode = inode;
        }

        // Somebody may have truncated it since.
        Length = length;
    }

    /// <summary>Appends as much as there is room for. Throws when nothing more can be written; <see cref="Length"/> tells how far it came.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var written = Write(_handle!, ref MemoryMarshal.GetReference(bytes), (nuint)bytes.Length);
            if (written < 0)
            {
                if (Marshal.GetLastPInvokeError() == Eintr)
                    continue;
                throw Failure("cannot be written");
            }

            Length += written;
            bytes = bytes[(int)written..];
        }
    }

    /// <summary>What stands in the file from <paramref name="from"/> on; at most as many bytes as <paramref name="target"/> takes.</summary>
    public static int Read(string name, long from, Span<byte> target)
    {
        using var handle = File.OpenHandle(name, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var total = 0;
        while (total < target.Length && RandomAccess.Read(handle, target[total..], from + total) is > 0 and var got)
            total += got;
        return total;
    }

    public void Sync()
    {
        if (_handle is not null)
            RandomAccess.FlushToDisk(_handle);
    }

    public static bool TryStat(string name, out ulong inode, out long length)
    {
        // stat(2) through the C library's versioned struct differs by architecture; statx(2) does not.
        Span<byte> buffer = stackalloc byte[256];
        if (Statx(AtFdcwd, name, 0, StatxBasic, ref MemoryMarshal.GetReference(buffer)) != 0)
        {
            inode = 0;
            length = 0;
            return false;
        }

        inode = MemoryMarshal.Read<ulong>(buffer[32..]);
        length = MemoryMarshal.Read<long>(buffer[40..]);
        return true;
    }

    public void Close()
    {
        try
        {
            if (_syncOnClose)
                Sync();
        }
        finally
        {
            _handle?.Dispose();
            _handle = null;
        }
    }

    private SafeFileHandle Open()
    {
        var directory = System.IO.Path.GetDirectoryName(Name);
        if (!string.IsNullOrEmpty(directory) && !Directory.Exists(directory))
        {
            try
            {
                Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute);
            }
            catch (IOException e) when (AncestorIsFile(directory) || e is PathTooLongException)
            {
                throw new MisplacedException($"{Name}: {e.Message}");
            }
        }

        var fd = Open([.. Path, 0], OWronly | OCreat | OAppend | OCloexec | ONoctty, 0x1A0); // 0640
        if (fd >= 0)
            return new SafeFileHandle(fd, ownsHandle: true);
        throw Marshal.GetLastPInvokeError() is Enotdir or Eisdir or Enametoolong ? new MisplacedException(Failure("cannot be opened").Message) : Failure("cannot be opened");
    }

    private static bool AncestorIsFile(string directory)
    {
        for (var at = directory; !string.IsNullOrEmpty(at); at = System.IO.Path.GetDirectoryName(at))
        {
            if (File.Exists(at))
                return true;
        }

        return false;
    }

    private IOException Failure(string what)
    {
        var error = Marshal.GetLastPInvokeError();
        return new IOException($"{Name}: {what}: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    private const int OWronly = 1, OCreat = 0x40, ONoctty = 0x100, OAppend = 0x400, OCloexec = 0x80000, Eintr = 4, Enotdir = 20, Eisdir = 21, Enametoolong = 36, AtFdcwd = -100;
    private const uint StatxBasic = 0x7ff;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true)]
    private static partial int Open(byte[] path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle fd, ref byte bytes, nuint count);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(int directory, string path, int flags, uint mask, ref byte result);
}
