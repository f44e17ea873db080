namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// A place in a log: the next record, and how much of it is taken already, in bytes of a write or an extent, or lines of a
/// received chunk. Of these only one that makes a chunk too large is divided; an extent wherever a chunk is full.
/// </summary>
internal readonly record struct LogPosition(ulong Record, long Taken) : IComparable<LogPosition>
{
    public static readonly LogPosition Start = new(1, 0);

    public int CompareTo(LogPosition other) => Record != other.Record ? Record.CompareTo(other.Record) : Taken.CompareTo(other.Taken);

    public static bool operator <(LogPosition a, LogPosition b) => a.CompareTo(b) < 0;

    public static bool operator >(LogPosition a, LogPosition b) => a.CompareTo(b) > 0;

    public static bool operator <=(LogPosition a, LogPosition b) => a.CompareTo(b) <= 0;

    public static bool operator >=(LogPosition a, LogPosition b) => a.CompareTo(b) >= 0;

    public override string ToString() => Taken == 0 ? $"{Record}" : $"{Record}+{Taken}";
}
