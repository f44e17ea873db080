namespace Hikyaku.Fuse;

/// <summary>What kept a mount from being made, used or removed.</summary>
public enum FuseFailure
{
    /// <summary>Anything without a case of its own; the message has the kernel's words.</summary>
    Other,
    NoDevice,
    NoPrivilege,
    FusermountMissing,
    MountPointMissing,
    NotADirectory,

    /// <summary>Something of type fuse is mounted there, alive or dead.</summary>
    AlreadyMounted,

    /// <summary>Open files or working directories keep it from being unmounted.</summary>
    Busy,
    NotMounted,

    /// <summary>The kernel's side spoke something unexpected.</summary>
    Protocol,
}

/// <summary>The message says what failed, where, and what to do.</summary>
public sealed class FuseException(FuseFailure failure, string message) : Exception(message)
{
    public FuseFailure Failure { get; } = failure;
}
