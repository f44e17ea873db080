namespace Hikyaku.Forward;

/// <summary>What an <see cref="EntryReader"/> needs beside the bytes; made once per thread and used again for every chunk.</summary>
public sealed class EntryScratch
{
    private int[] offsets = new int[16];

    // The JSON text of the latest record without a line.
    internal ByteBuffer Text { get; } = new(2 * ForwardMessage.BytesMaxDefault);

    // How many common fields the chunk has.
    internal int Count { get; private set; }

    // Where the index-th common map begins in the chunk's common bytes.
    internal int Offset(int index) => offsets[index];

    // Notes where each map of the common array begins; an array that is broken off counts as far as it goes.
    internal void Index(ReadOnlySpan<byte> common)
    {
        Count = 0;
        var reader = new MessagePackReader(common);
        if (common.IsEmpty || reader.ReadArray(out var count) != ReadResult.Success)
            return;
        for (; count > 0; count--)
        {
            var offset = reader.Position;
            if (reader.Skip() != ReadResult.Success)
                return;
            if (Count == offsets.Length)
                Array.Resize(ref offsets, Count * 2);
            offsets[Count++] = offset;
        }
    }
}
