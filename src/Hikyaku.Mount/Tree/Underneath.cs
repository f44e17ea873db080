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
    private const int RemovedMax = 128;
    private const int LevelsMax = 2048;
    public const int PathOfDescriptorMax = 32;

    private static readonly byte* Dot = Text("."u8);
    private static readonly byte* Empty = Text([]);

    private readonly int _root;
    private readonly NodeTable _nodes;
    private readonly Dictionary<uint, LinkedListNode<(uint Slot, int Descriptor)>> _directories = [];
    private readonly LinkedList<(uint Slot, int Descriptor)> _recent = [];
    private readonly Stack<uint> _way = [];

    public Underneath(int root, NodeTable nodes)
    {
        _root = root;
        _nodes = nodes;
        nodes.Freed = Leave;
    }

    public int RootDescriptor => _root;

    public NodeTable Nodes => _nodes;

    /// <summary>A descriptor of the directory, valid until as many others were entered as are remembered.</summary>
    public int Enter(uint slot)
    {
        if (Recall(slot, out var fd))
            return fd;
        // Up to the nearest that is open, and down again; so far that one request keeps no other waiting for long.
        _way.Clear();
        for (var at = slot; !Recall(at, out fd);)
        {
            if (!_nodes[at]->IsDirectory)
                return -Errno.ENOTDIR;
            if (_way.Count == LevelsMax)
                return -Errno.ENAMETOOLONG;
            _way.Push(at);
            if (_nodes.Find(_nodes[at]->Parent, out at) is null)
                return -Errno.ESTALE;
        }
        var isOurs = false;
        while (_way.TryPop(out var next))
        {
            var below = OpenDirectory(fd, _nodes[next]);
            if (isOurs)
                _ = Libc.Close(fd);
            if (below < 0)
                return below;
            (fd, isOurs) = (below, true);
        }
        // Only what was asked for is remembered: a deep directory does not push out all the others.
        _directories.Add(slot, _recent.AddFirst((slot, fd)));
        if (_recent.Count > DirectoriesMax)
            LeaveOldest();
        return fd;
    }

    /// <summary>Directory descriptor and name by which a node is reached.</summary>
    public int Locate(uint slot, out int directory, out byte* name)
    {
        name = Dot;
        var node = _nodes[slot];
        // A directory that was removed has no name left, but perhaps we still have it open.
        if ((slot == NodeTable.Root || node->Parent == 0) && Recall(slot, out directory))
            return 0;
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
    public static int SetTimes(int descriptor, Libc.TimeSpec* times)
    {
        var path = stackalloc byte[PathOfDescriptorMax];
        return Libc.UTimensAt(Libc.AT_FDCWD, PathOfDescriptor(descriptor, path), times, 0) == 0 ? 0 : -Libc.Error;
    }

    /// <inheritdoc cref="SetTimes"/>
    public static int SetMode(int descriptor, uint mode)
    {
        var path = stackalloc byte[PathOfDescriptorMax];
        return Libc.FChModAt(Libc.AT_FDCWD, PathOfDescriptor(descriptor, path), mode, 0) == 0 ? 0 : -Libc.Error;
    }

    /// <inheritdoc cref="SetTimes"/>
    public static int SetOwner(int descriptor, uint user, uint group) =>
        Libc.FChOwnAt(descriptor, Empty, user, group, Libc.AT_EMPTY_PATH) == 0 ? 0 : -Libc.Error;

    /// <summary>A descriptor of its own for reading a directory, or a negative error number.</summary>
    public static int OpenAnew(int directory)
    {
        var fd = Libc.OpenAt(directory, Dot, Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        return fd < 0 ? -Libc.Error : fd;
    }

    /// <summary>Puts names on the disk; through any descriptor of their directory.</summary>
    /// <returns>0 or a positive error number.</returns>
    public static int SyncDirectory(int directory)
    {
        var fd = OpenAnew(directory);
        if (fd < 0)
            return -fd;
        var error = Libc.FSync(fd) == 0 ? 0 : Libc.Error;
        _ = Libc.Close(fd);
        return error;
    }

    /// <summary>Reads, and leaves no time behind of having done so where we may; not for a descriptor that another thread gives flags.</summary>
    public static nint Peek(int descriptor, byte* buffer, int length, long offset)
    {
        const int getFlags = 3;

        var flags = Libc.Fcntl(descriptor, getFlags, 0);
        var isQuiet = Libc.Fcntl(descriptor, Libc.F_SETFL, flags | Libc.O_NOATIME) == 0;
        var read = Libc.PRead(descriptor, buffer, (nuint)length, offset);
        if (isQuiet)
            _ = Libc.Fcntl(descriptor, Libc.F_SETFL, flags);
        return read;
    }

    /// <summary>Whether anybody has this file, of which we have a descriptor for reading, open for writing. Null = that cannot be told.</summary>
    public static bool? IsWritten(int descriptor)
    {
        // A lease is to be had only when nobody has. Should somebody come just then, the kernel would send a signal: one that does nothing.
        const int setSignal = 10, setLease = 1024, urgent = 23, read = 0, none = 2;

        _ = Libc.Fcntl(descriptor, setSignal, urgent);
        if (Libc.Fcntl(descriptor, setLease, read) != 0)
            return Libc.Error == Errno.EAGAIN ? true : null;
        _ = Libc.Fcntl(descriptor, setLease, none);
        return false;
    }

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

    /// <summary>The directory is no more.</summary>
    public void Leave(uint slot)
    {
        if (!_directories.Remove(slot, out var known))
            return;
        _recent.Remove(known);
        _ = Libc.Close(known.Value.Descriptor);
    }

    public void Dispose()
    {
        foreach (var (_, fd) in _recent)
            _ = Libc.Close(fd);
        _recent.Clear();
        _directories.Clear();
    }

    // A removed directory is reached in no other way, so it stays; but not at the cost of those just entered.
    private void LeaveOldest()
    {
        var oldest = _recent.Last!;
        for (var passed = 0; _nodes[oldest.Value.Slot]->Parent == 0; passed++)
        {
            if (passed == RemovedMax)
            {
                oldest = _recent.Last!;
                break;
            }
            oldest = oldest.Previous!;
        }
        Leave(oldest.Value.Slot);
    }

    private bool Recall(uint slot, out int fd)
    {
        fd = _root;
        if (slot == NodeTable.Root)
            return true;
        if (!_directories.TryGetValue(slot, out var known))
            return false;
        _recent.Remove(known);
        _recent.AddFirst(known);
        fd = known.Value.Descriptor;
        return true;
    }

    private static int OpenDirectory(int above, NodeSlot* node)
    {
        var fd = Libc.OpenAt(above, node->Name, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return Stale(Libc.Error);
        if (Stat(fd, out var file) == 0 && file.Inode == node->Inode && NodeTable.Device(file) == node->Device)
            return fd;
        _ = Libc.Close(fd);
        return -Errno.ESTALE;
    }

    // A name that the kernel still believes in: it then looks the name up again and tells the program what it finds.
    private static int Stale(int errno) => errno is Errno.ENOENT or Errno.ENOTDIR or Errno.ELOOP ? -Errno.ESTALE : -errno;

    // Kernels before 5.8 set times, and before 6.6 modes, of a file behind an O_PATH descriptor only by this name.
    public static byte* PathOfDescriptor(int descriptor, byte* path)
    {
        "/proc/self/fd/"u8.CopyTo(new Span<byte>(path, PathOfDescriptorMax));
        System.Buffers.Text.Utf8Formatter.TryFormat(descriptor, new Span<byte>(path + 14, 11), out var digits);
        path[14 + digits] = 0;
        return path;
    }

    private static byte* Text(ReadOnlySpan<byte> text)
    {
        var memory = (byte*)NativeMemory.AllocZeroed((nuint)text.Length + 1);
        text.CopyTo(new Span<byte>(memory, text.Length));
        return memory;
    }
}
