using Hikyaku.Forward;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Reads packed entries to their end and touches every byte they claim to have.</summary>
internal static class Entries
{
    public static ulong Read(ReadOnlySpan<byte> packed, ReadOnlySpan<byte> common, EntryScratch scratch)
    {
        var reader = new EntryReader(packed, common, scratch);
        var position = 0;
        var sum = 0ul;
        var entries = 0L;
        while (reader.TryRead(out var entry))
        {
            BrokenPromise.Unless(reader.Position > position && reader.Position <= packed.Length, "the reader of entries goes on, and not beyond the end");
            position = reader.Position;
            entries++;
            sum = (sum * 31) ^ Dice.Hash(entry.Message) ^ Dice.Hash(entry.Fields.Host) ^ Dice.Hash(entry.Fields.Path) ^ (ulong)entry.Time ^ (uint)entry.Common;
        }
        BrokenPromise.Unless(reader.Position == packed.Length, "the reader of entries ends at the end");
        BrokenPromise.Unless(entries + reader.Broken >= EntryReader.Count(packed), "no entry is passed over in silence");
        return sum ^ (ulong)reader.Broken;
    }
}
