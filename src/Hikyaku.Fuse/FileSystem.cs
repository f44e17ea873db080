namespace Hikyaku.Fuse;

/// <summary>
/// A file system as the kernel asks for it. Every operation returns the length of the payload it put into the reply (0 = done,
/// nothing to tell), a negative error number, or <see cref="Deferred"/>. Names come without NUL, are 1 to 255 bytes long, hold
/// no slash and are neither "." nor "..". Unless overridden an operation answers ENOSYS, which most callers remember for good.
/// An operation that throws ends the process: it is a bug, and the successor is sent the request again.
/// </summary>
public abstract class FileSystem
{
    /// <summary>The answer will be given later, from any thread, by <see cref="FuseDevice.Reply"/> or <see cref="FuseDevice.ReplyError"/>.</summary>
    public const int Deferred = int.MinValue;

    /// <summary>The node id of the mount's top directory.</summary>
    public const ulong RootNodeId = 1;

    private const int Missing = -Errno.ENOSYS;

    public virtual int Lookup(in FuseRequest request, ReadOnlySpan<byte> name, FuseReply reply) => Missing;

    /// <summary>The kernel gives back <paramref name="lookups"/> of the entries it was given for this node. Has no reply.</summary>
    public virtual void Forget(ulong nodeId, ulong lookups)
    {
    }

    public virtual int GetAttr(in FuseRequest request, in GetAttrIn args, FuseReply reply) => Missing;

    public virtual int SetAttr(in FuseRequest request, in SetAttrIn args, FuseReply reply) => Missing;

    /// <summary>The payload is the target, without NUL.</summary>
    public virtual int ReadLink(in FuseRequest request, FuseReply reply) => Missing;

    /// <param name="request">Its node id is the parent.</param>
    /// <param name="name">The link's name.</param>
    /// <param name="target">Up to 4095 bytes, any but NUL.</param>
    /// <param name="reply">An entry.</param>
    public virtual int Symlink(in FuseRequest request, ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, FuseReply reply) => Missing;

    public virtual int MkNod(in FuseRequest request, in MkNodIn args, ReadOnlySpan<byte> name, FuseReply reply) => Missing;

    public virtual int MkDir(in FuseRequest request, in MkDirIn args, ReadOnlySpan<byte> name, FuseReply reply) => Missing;

    public virtual int Unlink(in FuseRequest request, ReadOnlySpan<byte> name) => Missing;

    public virtual int RmDir(in FuseRequest request, ReadOnlySpan<byte> name) => Missing;

    public virtual int Rename(
        in FuseRequest request, ReadOnlySpan<byte> name, ulong newParent, ReadOnlySpan<byte> newName, RenameFlags flags) => Missing;

    /// <param name="request">Its node id is the directory of the new name.</param>
    /// <param name="nodeId">The file that gets another name.</param>
    /// <param name="newName">The new name.</param>
    /// <param name="reply">An entry.</param>
    public virtual int Link(in FuseRequest request, ulong nodeId, ReadOnlySpan<byte> newName, FuseReply reply) => Missing;

    public virtual int Open(in FuseRequest request, in OpenIn args, FuseReply reply) => Missing;

    /// <summary>The payload is what was read, shorter than asked for only at the end of the file.</summary>
    public virtual int Read(in FuseRequest request, in ReadIn args, FuseReply reply) => Missing;

    /// <summary><paramref name="data"/> has exactly <see cref="WriteIn.Size"/> bytes.</summary>
    public virtual int Write(in FuseRequest request, in WriteIn args, ReadOnlySpan<byte> data, FuseReply reply) => Missing;

    public virtual int StatFs(in FuseRequest request, FuseReply reply) => Missing;

    public virtual int Release(in FuseRequest request, in ReleaseIn args) => Missing;

    public virtual int FSync(in FuseRequest request, in FSyncIn args) => Missing;

    /// <summary>One of the descriptors of the handle is being closed; the error is what close(2) returns.</summary>
    public virtual int Flush(in FuseRequest request, in FlushIn args) => Missing;

    public virtual int OpenDir(in FuseRequest request, in OpenIn args, FuseReply reply) => Missing;

    /// <summary>Filled by a <see cref="DirectoryWriter"/>.</summary>
    public virtual int ReadDir(in FuseRequest request, in ReadIn args, FuseReply reply) => Missing;

    public virtual int ReleaseDir(in FuseRequest request, in ReleaseIn args) => Missing;

    public virtual int FSyncDir(in FuseRequest request, in FSyncIn args) => Missing;

    public virtual int Create(in FuseRequest request, in CreateIn args, ReadOnlySpan<byte> name, FuseReply reply) => Missing;

    /// <summary>Not asked under default_permissions: the kernel then decides by mode and owner itself.</summary>
    public virtual int Access(in FuseRequest request, uint mask) => Missing;

    /// <summary>
    /// The caller of a request got a signal. A deferred request may now be answered EINTR; one that is carried out anyway needs nothing.
    /// </summary>
    /// <param name="unique">The <see cref="FuseRequest.Unique"/> of that request.</param>
    /// <returns>Whether the request was known.</returns>
    public virtual bool Interrupt(ulong unique) => false;

    public virtual int FAllocate(in FuseRequest request, in FAllocateIn args) => Missing;

    public virtual int LSeek(in FuseRequest request, in LSeekIn args, FuseReply reply) => Missing;

    /// <summary>Size 0 asks for a <see cref="GetXAttrOut"/>, any other for the value itself.</summary>
    public virtual int GetXAttr(in FuseRequest request, in GetXAttrIn args, ReadOnlySpan<byte> name, FuseReply reply) => Missing;

    /// <summary>Size 0 asks for a <see cref="GetXAttrOut"/>, any other for the names, each ended by NUL.</summary>
    public virtual int ListXAttr(in FuseRequest request, in GetXAttrIn args, FuseReply reply) => Missing;

    public virtual int SetXAttr(in FuseRequest request, in SetXAttrIn args, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => Missing;

    public virtual int RemoveXAttr(in FuseRequest request, ReadOnlySpan<byte> name) => Missing;

    /// <summary>The last request, where the kernel sends one (a plain unmount does not).</summary>
    public virtual void Destroy()
    {
    }
}
