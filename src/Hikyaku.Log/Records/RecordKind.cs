namespace Hikyaku.Log;

/// <summary>What a record of the log is about. Readers pass kinds they do not know to their caller, who ignores them.</summary>
public enum RecordKind : byte
{
    /// <summary>A source is stated: its id and its path. Restated in each segment.</summary>
    Source = 1,

    /// <summary>One write to a source.</summary>
    Write = 2,

    /// <summary>A handle of a source was closed.</summary>
    Close = 3,

    /// <summary>One chunk received from another node.</summary>
    Chunk = 4,

    /// <summary>What has been received from one origin by one route. Restated in each segment.</summary>
    Peers = 5,

    /// <summary>The last record of a segment; written by the log itself.</summary>
    Seal = 6,

    /// <summary>Filler over damage found at recovery; written by the log itself.</summary>
    Void = 7,

    /// <summary>A file grew by bytes that stand in a backing file.</summary>
    Extent = 8,
}
