namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// A place in a log: the next record, and how many of its lines are already taken. Only a record that makes a chunk too large
/// is divided, so <see cref="Lines"/> is nearly always 0.
/// </summary>
internal readonly record struct LogPosition(ulong Record, long Lines) : IComparable<LogPosition>
{
    public static readonly LogPosition Start = new(1, 0);

    public int CompareTo(LogPosition other) => Record != other.Record ? Record.CompareTo(other.Record) : Lines.CompareTo(other.Lines);

    public static bool operator <(LogPosition a, LogPosition b) => a.CompareTo(b) < 0;

    public static bool operator >(LogPosition a, LogPosition b) => a.CompareTo(b) > 0;

    public static bool operator <=(LogPosition a, LogPosition b) => a.CompareTo(b) <= 0;

    public static bool operator >=(LogPosition a, LogPosition b) => a.CompareTo(b) >= 0;

    public override string ToString() => Lines == 0 ? $"{Record}" : $"{Record}+{Lines}";
}
