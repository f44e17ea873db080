namespace Hikyaku.Mount;

/// <summary>One open file: the slot that outlives the process, and what only this process has.</summary>
internal sealed unsafe class OpenHandle(uint slot, HandleSlot* state, uint nodeSlot, NodeSlot* node, Source source)
{
    public uint Slot { get; } = slot;

    public HandleSlot* State { get; } = state;

    public uint NodeIndex { get; } = nodeSlot;

    public NodeSlot* Node { get; } = node;

    public Source Source { get; } = source;

    public ulong Number { get; } = state->Number;

    public uint Thread { get; } = state->Thread;

    public uint Pid { get; } = state->Pid;

    /// <summary>The file underneath, opened in the same mode; -1 = it could not be opened again after a kill.</summary>
    public int Descriptor { get; set; } = -1;

    /// <summary>What is known of the file's length underneath; null = nobody asks.</summary>
    public AccountEntry* Account { get; set; }

    /// <summary>The descriptor writes behind whatever is there.</summary>
    public bool Appends { get; set; }

    /// <summary>A record with this handle may be in the log.</summary>
    public bool Wrote { get; set; } = state->Source != 0;

    /// <summary>The length in bytes up to which the file underneath is known to be able to grow; the least of any file system at first.</summary>
    public ulong Reach { get; set; } = int.MaxValue;

    public bool Writable => (State->Flags & Libc.O_ACCMODE) != 0;

    public bool Readable => (State->Flags & Libc.O_ACCMODE) != Libc.O_WRONLY;

    /// <summary>What the kernel is told. The number's low half makes a stale one visible.</summary>
    public ulong KernelHandle => (Number << 32) | Slot;
}
