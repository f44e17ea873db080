using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Transfer.Outputs;

/// <summary>The name itself is the fault: no waiting will make this path a file.</summary>
internal sealed class MisplacedException(IOException inner) : IOException(inner.Message, inner);

/// <summary>One output file, open for appending. Its inode tells whether somebody moved it away.</summary>
internal sealed class FileTarget
{
    private const int Enotdir = 20, Eisdir = 21, Enametoolong = 36;
    private const UnixFileMode DirectoryMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;

    private readonly Disk _disk;
    private DiskFile? _file;
    private bool _isNew;

    public FileTarget(byte[] path, Disk disk)
    {
        _disk = disk;
        Path = path;
        Name = Encoding.UTF8.GetString(path);
    }

    public byte[] Path { get; }
    public string Name { get; }
    public ulong Inode { get; private set; }

    /// <summary>Bytes in the file, all of them ours or found there.</summary>
    public long Length { get; private set; }

    public bool IsOpenAs(ulong inode) => _file is not null && Inode == inode;

    /// <summary>
    /// Opens the file, again if the name stands for another file by now, and looks how long it is. Throws IOException;
    /// <see cref="MisplacedException"/> if the name can be no file.
    /// </summary>
    public void Refresh()
    {
        if (_file is null || !_disk.TryStat(Name, out var inode, out var length) || inode != Inode)
        {
            Close();
            _file = Open();
            if (!_disk.TryStat(Name, out inode, out length))
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
            var written = _file!.Append(bytes);
            Length += written;
            bytes = bytes[written..];
        }
    }

    /// <summary>What stands in the open file from <paramref name="at"/> on; returns how much of it there is.</summary>
    public int Read(Span<byte> target, long at) => _file!.Read(target, at);

    /// <summary>Cuts the open file.</summary>
    public void Truncate(long length)
    {
        _file!.Truncate(length);
        Length = length;
    }

    /// <summary>Sees to it that what is appended next begins a line.</summary>
    public void EndLine()
    {
        Span<byte> last = stackalloc byte[1];
        if (Length > 0 && _file!.Read(last, Length - 1) == 1 && last[0] != (byte)'\n')
            Append("\n"u8);
    }

    /// <summary>Makes all of it durable. Throws IOException.</summary>
    public void Sync()
    {
        _file?.Sync();
        SyncName();
    }

    /// <summary>Makes it be there under its name after a loss of power. Throws IOException.</summary>
    public void SyncName()
    {
        if (_isNew)
            _disk.SyncDirectory(System.IO.Path.GetDirectoryName(Name) ?? "/");
        _isNew = false;
    }

    public void Close()
    {
        _file?.Dispose();
        _file = null;
    }

    private DiskFile Open()
    {
        try
        {
            if (System.IO.Path.GetDirectoryName(Name) is { Length: > 0 } directory && !_disk.TryStat(directory, out _, out _))
                _disk.MakeDirectory(directory, DirectoryMode);
            // Its name may not be on the disk yet, whoever made it.
            _isNew = true;
            return _disk.OpenForWriting(Name, Opening.Appending);
        }
        catch (IOException e) when (e.HResult is Enotdir or Eisdir or Enametoolong)
        {
            throw new MisplacedException(e);
        }
    }
}
