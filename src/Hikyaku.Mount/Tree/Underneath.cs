using System.Runtime.InteropServices;
using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>
/// The directory underneath the mount. Every access is one name relative to a descriptor of its directory and follows no link, so
/// nothing outside can be reached; descriptors of directories are remembered. One thread only. Errors are negative error numbers.
/// </summary>
internal sealed unsafe class Underneath : IDisposable
{
    private const int DirectoriesMax = 256;

    private static readonly byte* Dot = Text("."u8);
    private static readonly byte* Empty = Text([]);

    private readonly int _root;
    private readonly NodeTable _nodes;
    private readonly Dictionary<uint, int> _directories = [];

    public Underneath(int root, NodeTable nodes)
    {
        _root = root;
        _nodes = nodes;
        nodes.Freed = Leave;
    }

    public int RootDescriptor => _root;

    public NodeTable Nodes => _nodes;

    /// <summary>A descriptor of the directory, valid until <see cref="Trim"/> or <see cref="Leave"/>.</summary>
    public int Enter(uint slot)
    {
        if (slot == NodeTable.Root)
            return _root;
        if (_directories.TryGetValue(slot, out var known))
            return known;
        var node = _nodes[slot];
        if (!node->IsDirectory)
            return -Errno.ENOTDIR;
        if (_nodes.Find(node->Parent, out var parent) is null)
            return -Errno.ESTALE;
        var above = Enter(parent);
        if (above < 0)
            return above;
        var fd = Libc.OpenAt(above, node->Name, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return Stale(Libc.Error);
        if (Stat(fd, out var file) < 0 || file.Inode != node->Inode || NodeTable.Device(file) != node->Device)
        {
            _ = Libc.Close(fd);
            return -Errno.ESTALE;
        }
        _directories.Add(slot, fd);
        return fd;
    }

    /// <summary>Directory descriptor and name by which a node is reached.</summary>
    public int Locate(uint slot, out int directory, out byte* name)
    {
        directory = _root;
        name = Dot;
        if (slot == NodeTable.Root)
            return 0;
        var node = _nodes[slot];
        name = node->Name;
        directory = _nodes.Find(node->Parent, out var parent) is null ? -Errno.ESTALE : Enter(parent);
        return Math.Min(directory, 0);
    }

    /// <summary>What is under the node's name; ESTALE if that is another file by now, which makes the kernel look the name up again.</summary>
    public int Stat(uint slot, out Libc.Statx file)
    {
        file = default;
        var error = Locate(slot, out var directory, out var name);
        if (error == 0)
            error = Stat(directory, name, out file);
        if (error < 0)
            return error == -Errno.ENOENT ? -Errno.ESTALE : error;
        var node = _nodes[slot];
        return file.Inode == node->Inode && NodeTable.Device(file) == node->Device ? 0 : -Errno.ESTALE;
    }

    public static int Stat(int directory, byte* name, out Libc.Statx file)
    {
        fixed (Libc.Statx* result = &file)
            return Libc.StatxAt(directory, name, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_WANTED, result) == 0 ? 0 : -Libc.Error;
    }

    /// <summary>Of the top directory, whose descriptor may be of any kind.</summary>
    public static int StatTop(int descriptor, out Libc.Statx file) => Stat(descriptor, Dot, out file);

    public static int Stat(int descriptor, out Libc.Statx file)
    {
        fixed (Libc.Statx* result = &file)
            return Libc.StatxAt(descriptor, Empty, Libc.AT_EMPTY_PATH, Libc.STATX_WANTED, result) == 0 ? 0 : -Libc.Error;
    }

    /// <summary>Sets times through any descriptor, also one of O_PATH.</summary>
    public static int SetTimes(int descriptor, Libc.TimeSpec* times) =>
        Libc.UTimensAt(descriptor, Empty, times, Libc.AT_EMPTY_PATH) == 0 ? 0 : -Libc.Error;

    /// <summary>Opens the node's file; the caller closes it.</summary>
    public int Open(uint slot, int flags)
    {
        var error = Locate(slot, out var directory, out var name);
        if (error < 0)
            return error;
        var fd = Libc.OpenAt(directory, name, flags | Libc.O_NOFOLLOW | Libc.O_CLOEXEC | Libc.O_NONBLOCK, 0);
        if (fd < 0)
            return Stale(Libc.Error);
        var node = _nodes[slot];
        if (Stat(fd, out var file) == 0 && file.Inode == node->Inode && NodeTable.Device(file) == node->Device)
            return fd;
        _ = Libc.Close(fd);
        return -Errno.ESTALE;
    }

    /// <summary>The node's path from the top, without a leading slash; -ENAMETOOLONG when it does not fit.</summary>
    public int PathOf(uint slot, Span<byte> path)
    {
        var at = path.Length;
        while (slot != NodeTable.Root)
        {
            var node = _nodes[slot];
            var name = NodeSlot.NameOf(node);
            if (at < name.Length + 1)
                return -Errno.ENAMETOOLONG;
            if (at != path.Length)
                path[--at] = (byte)'/';
            at -= name.Length;
            name.CopyTo(path[at..]);
            if (_nodes.Find(node->Parent, out slot) is null)
                return -Errno.ESTALE;
        }
        var length = path.Length - at;
        path[at..].CopyTo(path);
        return length;
    }

    /// <summary>Closes what is remembered, when that is much. Not while a descriptor from <see cref="Enter"/> is in use.</summary>
    public void Trim()
    {
        if (_directories.Count < DirectoriesMax)
            return;
        foreach (var fd in _directories.Values)
            _ = Libc.Close(fd);
        _directories.Clear();
    }

    /// <summary>The directory is no more.</summary>
    public void Leave(uint slot)
    {
        if (_directories.Remove(slot, out var fd))
            _ = Libc.Close(fd);
    }

    public void Dispose()
    {
        foreach (var fd in _directories.Values)
            _ = Libc.Close(fd);
        _directories.Clear();
    }

    // A name that the kernel still believes in: it then looks the name up again and tells the program what it finds.
    private static int Stale(int errno) => errno is Errno.ENOENT or Errno.ENOTDIR or Errno.ELOOP ? -Errno.ESTALE : -errno;

    private static byte* Text(ReadOnlySpan<byte> text)
    {
        var memory = (byte*)NativeMemory.AllocZeroed((nuint)text.Length + 1);
        text.CopyTo(new Span<byte>(memory, text.Length));
        return memory;
    }
}
