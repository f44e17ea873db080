namespace Hikyaku.Log;

/// <summary>One record as read; the body lies in the mapped segment and is valid until the next call of the reader.</summary>
public readonly ref struct LogRecord(ulong sequence, RecordKind kind, ReadOnlySpan<byte> body)
{
    /// <summary>The number of the record in its log; the first is 1.</summary>
    public ulong Sequence { get; } = sequence;

    /// <summary>What the body is.</summary>
    public RecordKind Kind { get; } = kind;

    /// <summary>1 byte to 128 MiB.</summary>
    public ReadOnlySpan<byte> Body { get; } = body;
}
