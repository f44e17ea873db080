namespace Hikyaku.Mount;

/// <summary>A path as opened, as the log knows it.</summary>
internal sealed class Source(byte[] path, SourceCounters counters)
{
    public byte[] Path { get; } = path;

    public SourceCounters Counters { get; } = counters;

    /// <summary>The sequence of the record that first stated it; 0 = not stated yet.</summary>
    public ulong Id { get; set; }

    /// <summary>First sequence of the segment it was last stated in.</summary>
    public ulong StatedIn { get; set; }

    /// <summary>The files opened under this path whose growth is followed: more than one while they are being rotated.</summary>
    public List<Backing> Followed { get; init; } = [];

    /// <summary>Handles that are open.</summary>
    public int Handles { get; set; }
}
