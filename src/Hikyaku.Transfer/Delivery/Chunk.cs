using Hikyaku.Forward;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// The unit of delivery and acknowledgement: the lines that the records <see cref="From"/> up to but not including
/// <see cref="To"/> of one log complete. What it holds can be made again from the log, the tails before it and the note.
/// </summary>
internal abstract class Chunk
{
    public ulong Number { get; set; }
    public LogPosition From { get; set; }
    public LogPosition To { get; set; }

    /// <summary>Unix time in ns: lines of before are not carried. 0: all are.</summary>
    public long Oldest { get; set; }

    public long Lines { get; private set; }

    /// <summary>Bytes of the lines, without their ends.</summary>
    public long Bytes { get; private set; }

    /// <summary>The unfinished lines of all handles after the last record of this chunk, as <see cref="LineReader"/> saves them.</summary>
    public ByteBuffer Tails { get; } = new();

    /// <summary>Set by the output, from any thread, once the lines are where they belong.</summary>
    public virtual bool Done
    {
        get => Volatile.Read(ref _done);
        set => Volatile.Write(ref _done, value);
    }

    private bool _done;

    /// <summary>True when the next record should go into another chunk.</summary>
    public abstract bool IsFull { get; }

    /// <summary>True when not even the next line of the same record should be added.</summary>
    public abstract bool IsOverfull { get; }

    /// <summary>True when it can go nowhere in the form it has, and its records must be read into another.</summary>
    public virtual bool MustBeginAnew => false;

    public void Add(in LineBlock lines)
    {
        Lines += lines.Count;
        Bytes += lines.Text.Length + 1 - lines.Count;
        Pack(lines);
    }

    /// <summary>Appends what the journal must know so that a repetition ends at the same place. False: the output cannot tell at present; ask again later.</summary>
    public abstract bool TryWriteNote(ByteBuffer target);

    protected abstract void Pack(in LineBlock lines);

    protected void Reset()
    {
        Number = 0;
        From = To = default;
        Lines = Bytes = Oldest = 0;
        Tails.Clear();
        Done = false;
    }
}
