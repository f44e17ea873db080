namespace Hikyaku.Fuse;

/// <summary>Capabilities negotiated by INIT; bits 32 and up travel in the second flags word.</summary>
[Flags]
public enum InitFlags : ulong
{
    None = 0,
    AsyncRead = 1ul << 0,
    PosixLocks = 1ul << 1,
    AtomicTruncate = 1ul << 3,
    BigWrites = 1ul << 5,
    FlockLocks = 1ul << 10,
    AsyncDirectIO = 1ul << 15,
    WritebackCache = 1ul << 16,
    NoOpenSupport = 1ul << 17,
    ParallelDirOps = 1ul << 18,
    AbortError = 1ul << 21,
    MaxPages = 1ul << 22,
    HandleKillPrivV2 = 1ul << 28,
    InitExt = 1ul << 30,
    DirectIOAllowMmap = 1ul << 36,
    Passthrough = 1ul << 37,
    HasResend = 1ul << 39,
}

/// <summary>How an opened file behaves, in <see cref="OpenOut.OpenFlags"/>.</summary>
[Flags]
public enum OpenReplyFlags : uint
{
    None = 0,
    DirectIO = 1 << 0,
    KeepCache = 1 << 1,
    NonSeekable = 1 << 2,
    CacheDir = 1 << 3,
    Stream = 1 << 4,
    NoFlush = 1 << 5,
    ParallelDirectWrites = 1 << 6,

    /// <summary>Reads and writes go straight to the file of <see cref="OpenOut.BackingId"/>; with <see cref="DirectIO"/> they come all the same.</summary>
    Passthrough = 1 << 7,
}

/// <summary>Which fields of <see cref="SetAttrIn"/> are to be set.</summary>
[Flags]
public enum SetAttrValid : uint
{
    None = 0,
    Mode = 1 << 0,
    Uid = 1 << 1,
    Gid = 1 << 2,
    Size = 1 << 3,
    ATime = 1 << 4,
    MTime = 1 << 5,
    Handle = 1 << 6,
    ATimeNow = 1 << 7,
    MTimeNow = 1 << 8,
    LockOwner = 1 << 9,
    CTime = 1 << 10,
    KillSuidGid = 1 << 11,
}

/// <summary>How a write came about.</summary>
[Flags]
public enum WriteFlags : uint
{
    None = 0,

    /// <summary>From the page cache (a shared mapping): the handle is a guess, pid and uid are not the writer's.</summary>
    Cache = 1 << 0,
    LockOwner = 1 << 1,

    /// <summary>The set-user-id and set-group-id bits are to be cleared.</summary>
    KillSuidGid = 1 << 2,
}

/// <summary>Flags of GETATTR.</summary>
[Flags]
public enum GetAttrFlags : uint
{
    None = 0,
    Handle = 1 << 0,
}

/// <summary>Flags of FSYNC and FSYNCDIR.</summary>
[Flags]
public enum FSyncFlags : uint
{
    None = 0,

    /// <summary>fdatasync(2): times need not be durable.</summary>
    DataOnly = 1 << 0,
}

/// <summary>Flags of renameat2(2).</summary>
[Flags]
public enum RenameFlags : uint
{
    None = 0,
    NoReplace = 1 << 0,
    Exchange = 1 << 1,
    Whiteout = 1 << 2,
}
