using System.Runtime.InteropServices;

namespace Hikyaku.Mount;

internal enum OperationStep : uint
{
    None = 0,

    /// <summary>What the names meant before is recorded; the operation may or may not have happened.</summary>
    Started = 1,

    /// <summary>The answer is recorded, and nothing is left to do but sending it.</summary>
    Done = 2,
}

/// <summary>
/// The one operation on names that is being carried out. One thread carries out one at a time and answers it before the next, and
/// the kernel sends unanswered requests again before any new one, so one slot tells a successor everything.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OperationSlot
{
    public const int ReplyMax = 256;

    public OperationStep Step;

    /// <summary>Length of the reply, or a negative error number.</summary>
    public int Answer;

    public ulong Request;

    /// <summary>Inode the (new) name had before; 0 = none.</summary>
    public ulong Target;

    /// <summary>Inode of the old name of a rename.</summary>
    public ulong Origin;

    public fixed byte Reply[ReplyMax];
}
