namespace Hikyaku.Forward;

/// <summary>Where a line comes from. What is unknown is empty or null.</summary>
public readonly ref struct EntryFields
{
    /// <summary>The host that wrote the line.</summary>
    public ReadOnlySpan<byte> Host { get; init; }

    /// <summary>The file it was written to.</summary>
    public ReadOnlySpan<byte> Path { get; init; }

    /// <summary>The writing process.</summary>
    public uint? Pid { get; init; }

    /// <summary>The user of the writing process.</summary>
    public uint? Uid { get; init; }

    /// <summary>It is what was written at once, byte for byte, and not a line.</summary>
    public bool IsMessage { get; init; }
}

/// <summary>One event. Its spans are valid until the next one is read.</summary>
public readonly ref struct Entry
{
    /// <summary>Nanoseconds since 1970; 0 = the sender left the time to the receiver ("now").</summary>
    public long Time { get; init; }

    /// <summary>The line; for a record without a line, the record as JSON text; for a block, its lines with LF between them.</summary>
    public ReadOnlySpan<byte> Message { get; init; }

    /// <summary>Whether it is a block of lines, at most <see cref="EntryWriter.BlockBytesMax"/> bytes.</summary>
    public bool IsBlock { get; init; }

    /// <summary>How many lines it holds.</summary>
    public int Lines => IsBlock ? 1 + Message.Count((byte)'\n') : 1;

    /// <summary>Where it comes from, taken from the record and from the chunk's common fields.</summary>
    public EntryFields Fields { get; init; }

    /// <summary>The index in the chunk's common fields that holds for this entry, or -1: entries of one chunk with the same index are of the same source.</summary>
    public int Common { get; init; }
}
