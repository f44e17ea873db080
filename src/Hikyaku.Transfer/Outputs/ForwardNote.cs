using Hikyaku.Forward;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// What the journal keeps of a chunk, for a repetition must be the same: its servers and the form for each. Where lines are
/// divided by hash, first by what, and all servers among which they were.
/// </summary>
internal static class ForwardNote
{
    public static void WriteHash(ByteBuffer target, HashKey key) => MessagePackWriter.WriteUnsigned(target, (ulong)key);

    public static void WriteServer(ByteBuffer target, ReadOnlySpan<byte> server, bool compact)
    {
        MessagePackWriter.WriteText(target, server);
        MessagePackWriter.WriteUnsigned(target, compact ? Ack.TakesBlocks : 0UL);
    }

    /// <param name="target">The note.</param>
    /// <param name="weight">With which its share was found.</param>
    /// <param name="now">Where the part is by now; empty: where it belongs.</param>
    public static void WriteShare(ByteBuffer target, int weight, ReadOnlySpan<byte> now)
    {
        MessagePackWriter.WriteUnsigned(target, (ulong)weight);
        MessagePackWriter.WriteText(target, now);
    }

    public static bool TryReadHash(ref MessagePackReader note, out HashKey key)
    {
        var ahead = note;
        var found = ahead.Read(out var value) == ReadResult.Success && value.Kind == MessagePackKind.Unsigned;
        key = found ? (HashKey)value.Number : default;
        if (found)
            note = ahead;
        return found;
    }

    public static bool TryReadServer(ref MessagePackReader note, out ReadOnlySpan<byte> server, out bool compact)
    {
        server = default;
        compact = false;
        if (note.AtEnd || note.Read(out var name) != ReadResult.Success || note.Read(out var form) != ReadResult.Success)
            return false;
        server = name.Payload;
        compact = form is { Kind: MessagePackKind.Unsigned, Number: Ack.TakesBlocks };
        return true;
    }

    public static void ReadShare(ref MessagePackReader note, out int weight, out ReadOnlySpan<byte> now)
    {
        weight = note.Read(out var share) == ReadResult.Success ? (int)share.Number : 1;
        now = note.Read(out var other) == ReadResult.Success ? other.Payload : default;
    }
}
