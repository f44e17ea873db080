using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Mount;

/// <summary>A file that is written past us: the slot that outlives the process, and what only this process has.</summary>
internal sealed unsafe class Backing(uint slot, BackingSlot* state, (ulong Device, ulong Inode) file)
{
    public uint Slot { get; } = slot;

    public BackingSlot* State { get; } = state;

    public (ulong Device, ulong Inode) File { get; } = file;

    public ulong Number { get; } = state->Number;

    /// <summary>The file itself, for reading, while a session lasts; else -1.</summary>
    public int Descriptor { get; set; } = -1;

    /// <summary>As opened first, while a session lasts.</summary>
    public Source? Source { get; set; }

    /// <summary>Handles of the kernel; with none left it no longer needs to know the file.</summary>
    public int Members { get; set; }

    /// <summary>Those that can be written through; with none left the session ends as soon as it can.</summary>
    public int Writers { get; set; }

    /// <summary>Programs of a mount that is no more may still write to it; no handle of ours stands for them.</summary>
    public bool IsOrphan
    {
        get => Volatile.Read(ref State->Orphan) != 0;
        set => Volatile.Write(ref State->Orphan, value ? 1u : 0);
    }

    /// <summary>Being cut by the keeper's thread, which alone touches the slot meanwhile.</summary>
    public bool IsCutting => Volatile.Read(ref _cuts) != 0;

    /// <summary>The keeper's thread was asked to cut it.</summary>
    public void BeginCut() => Interlocked.Increment(ref _cuts);

    /// <summary>One of the cuts is done.</summary>
    public void EndCut() => Interlocked.Decrement(ref _cuts);

    /// <summary>The length at which somebody left it who cut it underneath, while what is left could not be saved; else -1.</summary>
    public long Shortened { get; set; } = -1;

    /// <summary>Bytes it has grown by that found no room in the log.</summary>
    public long Waiting { get; set; }

    /// <summary>What of its growth the keeper has put there, in the order of the file: that is in the log already.</summary>
    public Queue<(long From, long To)> Own { get; set; } = [];

    /// <summary>The path at which it was found after it grew while nothing was mounted; else null.</summary>
    public byte[]? Found { get; set; }

    /// <summary>The session is of what it grew by while nothing was mounted, or grows by through a descriptor from then.</summary>
    public bool IsUnmounted => State->Time != 0;

    /// <summary>When the follower looks next, as <see cref="System.Diagnostics.Stopwatch.GetTimestamp"/>.</summary>
    public long Due { get; set; }

    /// <summary>How many looks in a row found nothing.</summary>
    public int Quiet { get; set; }

    public bool IsHot { get; set; }

    /// <summary>The armed watch; -1 = none.</summary>
    public int Watch { get; set; } = -1;

    /// <summary>What was saved before cuts, each with the last sequence that may point into it. Guarded by the delivery's lock.</summary>
    public List<(ulong Generation, ulong Last, long Bytes)> Saved { get; } = [];

    private int _cuts;

    /// <summary>The second name, ended by NUL.</summary>
    public byte[] Link => Terminated(BackingFile.LiveName(Number));

    /// <inheritdoc cref="Link"/>
    public byte[] SavedName(ulong generation) => Terminated(BackingFile.SavedName(Number, generation));

    private static byte[] Terminated(string name) => Encoding.ASCII.GetBytes(name + '\0');
}
