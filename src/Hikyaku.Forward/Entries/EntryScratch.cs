using System.Runtime.InteropServices;

namespace Hikyaku.Forward;

/// <summary>What an <see cref="EntryReader"/> needs beside the bytes; made once per thread and used again for every chunk.</summary>
public sealed class EntryScratch
{
    private CommonFields[] common = new CommonFields[16];

    // The JSON text of the latest record without a line.
    internal ByteBuffer Text { get; } = new(2 * ForwardMessage.BytesMaxDefault);

    // How many common fields the chunk has.
    internal int Count { get; private set; }

    internal ref CommonFields Common(int index) => ref common[index];

    // Notes where each map of the common array begins; an array that is broken off counts as far as it goes.
    internal void Index(ReadOnlySpan<byte> bytes)
    {
        Count = 0;
        var reader = new MessagePackReader(bytes);
        if (bytes.IsEmpty || reader.ReadArray(out var count) != ReadResult.Success)
            return;
        for (; count > 0; count--)
        {
            var offset = reader.Position;
            if (reader.Skip() != ReadResult.Success)
                return;
            if (Count == common.Length)
                Array.Resize(ref common, Count * 2);
            common[Count++] = new CommonFields { Offset = offset };
        }
    }

    /// <summary>One element of the array of common fields: where it begins, and once it was read, where its parts are.</summary>
    [StructLayout(LayoutKind.Auto)]
    internal struct CommonFields
    {
        public int Offset { get; init; }
        public bool IsRead { get; private set; }
        public Range Host { get; private set; }
        public Range Path { get; private set; }
        public uint? Pid { get; private set; }
        public uint? Uid { get; private set; }
        public bool IsMessage { get; private set; }

        public void Set(Range host, Range path, uint? pid, uint? uid, bool isMessage) => (IsRead, Host, Path, Pid, Uid, IsMessage) = (true, host, path, pid, uid, isMessage);
    }
}
