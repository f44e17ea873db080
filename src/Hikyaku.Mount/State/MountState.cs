using System.Runtime.CompilerServices;

namespace Hikyaku.Mount;

/// <summary>
/// Everything about a mount that must outlive its process: one file, mapped and shared, so that every store survives a kill. Its length
/// is that of full tables, nearly all holes; disk space is allocated before a slot is first used, so no store can meet a full disk.
/// </summary>
internal sealed unsafe class MountState : IDisposable
{
    public const uint NodesMax = 1 << 22;
    public const uint HandlesMax = 1 << 16;
    public const uint BackingsMax = 1 << 16;

    private const ulong Magic = 0x746E_754F_4D6B_6948; // "HikMOunt"
    private const uint KnownVersion = 6;
    private const int HeaderBytes = 4096;
    private const uint NodesStep = 1024;
    private const uint HandlesStep = 64;
    private const uint BackingsStep = 64;

    private static readonly long HandlesAt = HeaderBytes;
    private static readonly long BackingsAt = HandlesAt + ((long)HandlesMax * sizeof(HandleSlot));
    private static readonly long NodesAt = BackingsAt + ((long)BackingsMax * sizeof(BackingSlot));
    private static readonly long Length = (NodesAt + ((long)NodesMax * sizeof(NodeSlot)) + 4095) & ~4095L;

    private readonly int _fd;
    private readonly byte* _start;

    private MountState(int fd, byte* start)
    {
        _fd = fd;
        _start = start;
    }

    public StateHeader* Header => (StateHeader*)_start;

    public NodeSlot* Node(uint slot) => (NodeSlot*)(_start + NodesAt) + slot;

    public HandleSlot* Handle(uint slot) => (HandleSlot*)(_start + HandlesAt) + slot;

    public BackingSlot* Backing(uint slot) => (BackingSlot*)(_start + BackingsAt) + slot;

    /// <summary>Opens what an earlier process left, or null if there is none of this version.</summary>
    /// <param name="path">The file.</param>
    /// <param name="report">For a sentence to people, if what is there is of another version.</param>
    /// <exception cref="MountException">The file cannot be opened or mapped.</exception>
    public static MountState? TryOpen(string path, Action<string>? report = null)
    {
        var fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            return Libc.Error == Fuse.Errno.ENOENT ? null : throw Failure("open", path, Libc.Error);
        ulong magic = 0;
        var hasMagic = Libc.PRead(fd, (byte*)&magic, sizeof(ulong), 0) == sizeof(ulong) && magic != 0;
        if (Libc.LSeek(fd, 0, 2) == Length)
        {
            var state = Map(fd, path);
            if (magic == Magic && state.Header->Version == KnownVersion
                && state.Header->NodesAllocated <= NodesMax && state.Header->HandlesAllocated <= HandlesMax
                && state.Header->BackingsAllocated <= BackingsMax)
            {
                state.FinishMove();
                return state;
            }
            state.Dispose();
        }
        else
        {
            _ = Libc.Close(fd);
        }
        // Without it somebody died while making it, and it says nothing.
        if (hasMagic)
            report?.Invoke($"{path} is of another version of hikyaku, or damaged, and is dropped: unless the mount was stopped before, files that were open count as never closed, so that a last line without its newline is not carried, and what was written last may be missing in the files; it is in the log");
        return null;
    }

    /// <summary>A new, empty state in place of whatever is there.</summary>
    /// <exception cref="MountException">The file cannot be made.</exception>
    public static MountState Create(string path, ulong incarnation, ulong nextHandle, ulong nextSequence)
    {
        // First: on a full disk the room it takes may be all there is.
        File.Delete(path);
        var fd = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, 0x180 /* 0600 */);
        if (fd < 0)
            throw Failure("create", path, Libc.Error);
        int error;
        if (Libc.FTruncate(fd, Length) != 0)
            error = Libc.Error;
        else
            error = Libc.PosixFAllocate(fd, 0, HeaderBytes);
        if (error != 0)
        {
            _ = Libc.Close(fd);
            File.Delete(path);
            throw Failure("allocate", path, error);
        }
        var state = Map(fd, path);
        state.Begin(incarnation, nextHandle, nextSequence);
        return state;
    }

    /// <summary>Empties the state for a new mount, but for the backing files, on the disk space it has: on a full disk there is no other.</summary>
    public void Renew(ulong incarnation, ulong nextHandle, ulong nextSequence)
    {
        // Killed from here on, it is no state of anything, and the next process makes a new one.
        Volatile.Write(ref Header->Magic, 0);
        var (nodes, handles, backings) = (Math.Min(Header->NodesAllocated, NodesStep), Header->HandlesAllocated, Header->BackingsAllocated);
        // What a large tree took is given back.
        _ = Libc.FTruncate(_fd, NodesAt + ((long)nodes * sizeof(NodeSlot)));
        if (Libc.FTruncate(_fd, Length) != 0)
            throw new MountException($"cannot renew the mount's state: {Fuse.Errno.Text(Libc.Error)}");
        new Span<byte>(Node(0), (int)nodes * sizeof(NodeSlot)).Clear();
        new Span<byte>(Handle(0), (int)handles * sizeof(HandleSlot)).Clear();
        new Span<byte>(_start, HeaderBytes).Clear();
        (Header->NodesAllocated, Header->HandlesAllocated, Header->BackingsAllocated) = (nodes, handles, backings);
        Begin(incarnation, nextHandle, nextSequence);
    }

    /// <summary>Makes sure that the slot may be stored to; false when the table or the disk is full.</summary>
    public bool AllocateNode(uint slot)
    {
        if (slot < Header->NodesAllocated)
            return true;
        if (slot >= NodesMax || !Allocate(NodesAt + ((long)Header->NodesAllocated * sizeof(NodeSlot)), (long)NodesStep * sizeof(NodeSlot)))
            return false;
        Header->NodesAllocated += NodesStep;
        return true;
    }

    /// <inheritdoc cref="AllocateNode"/>
    public bool AllocateHandle(uint slot)
    {
        if (slot < Header->HandlesAllocated)
            return true;
        if (slot >= HandlesMax || !Allocate(HandlesAt + ((long)Header->HandlesAllocated * sizeof(HandleSlot)), (long)HandlesStep * sizeof(HandleSlot)))
            return false;
        Header->HandlesAllocated += HandlesStep;
        return true;
    }

    /// <inheritdoc cref="AllocateNode"/>
    public bool AllocateBacking(uint slot)
    {
        if (slot < Header->BackingsAllocated)
            return true;
        if (slot >= BackingsMax || !Allocate(BackingsAt + ((long)Header->BackingsAllocated * sizeof(BackingSlot)), (long)BackingsStep * sizeof(BackingSlot)))
            return false;
        Header->BackingsAllocated += BackingsStep;
        return true;
    }

    /// <summary>Gives a node another name. Written down first, so that a kill in the middle leaves no half of a name.</summary>
    public void Move(uint slot, ulong parent, ReadOnlySpan<byte> name, bool hidden)
    {
        MoveSlot.Set(&Header->Move, slot, parent, name, hidden);
        Volatile.Write(ref Header->Moving, 1);
        FinishMove();
    }

    public void Dispose()
    {
        _ = Libc.MUnmap((nint)_start, (nuint)Length);
        _ = Libc.Close(_fd);
    }

    private void Begin(ulong incarnation, ulong nextHandle, ulong nextSequence)
    {
        Header->Version = KnownVersion;
        Header->NextHandle = nextHandle;
        Header->Incarnation = incarnation;
        Header->Kept = nextSequence;
        Header->Answered = nextSequence - 1;
        Volatile.Write(ref Header->Magic, Magic);
    }

    private void FinishMove()
    {
        var move = &Header->Move;
        if (Header->Moving != 1 || move->Node >= Header->NodesAllocated || move->NameLength > NodeSlot.NameMax)
            return;
        var node = Node(move->Node);
        node->Parent = move->Parent;
        node->Hidden = move->Hidden;
        node->NameLength = move->NameLength;
        Unsafe.CopyBlock(node->Name, move->Name, (uint)move->NameLength + 1);
        Volatile.Write(ref Header->Moving, 0);
    }

    private bool Allocate(long offset, long bytes)
    {
        int error;
        while ((error = Libc.PosixFAllocate(_fd, offset, Math.Min(bytes, Length - offset))) == Fuse.Errno.EINTR)
        {
        }
        return error == 0;
    }

    private static MountState Map(int fd, string path)
    {
        var start = Libc.MMap(0, (nuint)Length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, fd, 0);
        if (start != -1)
            return new MountState(fd, (byte*)start);
        var error = Libc.Error;
        _ = Libc.Close(fd);
        throw Failure("map", path, error);
    }

    private static MountException Failure(string what, string path, int errno) =>
        new($"cannot {what} the mount's state {path}: {Fuse.Errno.Text(errno)}");
}
