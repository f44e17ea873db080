using System.Buffers.Binary;
using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>The files of a log as damage may leave them.</summary>
internal sealed class LogImages
{
    private const int SegmentBytes = 64 << 10;

    private static readonly string[] OtherNames = ["spare", "00000000000000000001.open", "00000000000000000400.sealed", "00000000000000000000.open", "junk"];

    /// <summary>By name.</summary>
    public SortedDictionary<string, byte[]> Files { get; } = new(StringComparer.Ordinal);

    /// <summary>A body was replaced by another whose checksum is right: what is read proves nothing.</summary>
    public bool IsForged { get; private set; }

    public static LogOptions Options { get; } = new() { SegmentBytes = SegmentBytes, TimeProvider = new StandingClock() };

    public static LogImages Make(Dice dice)
    {
        var images = new LogImages();
        images.Add(LogBody.Ours, 1, dice);
        for (var times = dice.Below(5); times > 0 && images.Files.Count > 0; times--)
            images.Damage(dice);
        return images;
    }

    public static LogImages Parse(ReadOnlySpan<byte> input)
    {
        var images = new LogImages { IsForged = input.Length > 0 && input[0] != 0 };
        for (var at = 1; at + 9 <= input.Length;)
        {
            var name = Math.Min(input[at], input.Length - at - 9);
            var length = Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(input[(at + 1)..]), 16u << 20);
            var stored = (int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(input[(at + 5)..]), Math.Min(length, input.Length - at - 9 - name));
            var bytes = new byte[length];
            input.Slice(at + 9 + name, stored).CopyTo(bytes);
            images.Files[Encoding.Latin1.GetString(input.Slice(at + 9, name))] = bytes;
            at += 9 + name + stored;
        }
        return images;
    }

    /// <summary>One byte that says whether it is forged; then each file: length of its name, its length, how much is stored, name, bytes up to the last that is not zero.</summary>
    public byte[] Store()
    {
        var all = new MemoryStream();
        all.WriteByte(IsForged ? (byte)1 : (byte)0);
        Span<byte> lengths = stackalloc byte[9];
        foreach (var (name, bytes) in Files)
        {
            var stored = bytes.AsSpan(0, bytes.AsSpan().LastIndexOfAnyExcept((byte)0) + 1);
            lengths[0] = (byte)name.Length;
            BinaryPrimitives.WriteInt32LittleEndian(lengths[1..], bytes.Length);
            BinaryPrimitives.WriteInt32LittleEndian(lengths[5..], stored.Length);
            all.Write(lengths);
            all.Write(Encoding.Latin1.GetBytes(name));
            all.Write(stored);
        }
        return all.ToArray();
    }

    // A whole log; one that starts higher may lie between the segments of another.
    private void Add(char log, ulong start, Dice dice)
    {
        using var storage = new GuardedStorage();
        using (var writer = LogWriter.Open(storage, Options with { Floor = () => start }))
        {
            ulong number = 0;
            for (var records = 1 << dice.Below(10); records > 0; records--)
                LogBody.Append(writer, log, number++);
        }
        var identity = dice.Bytes(16);
        foreach (var name in storage.Names)
        {
            var bytes = storage[name].ToArray();
            identity.CopyTo(bytes, 16);
            Sum(bytes);
            Files[name] = bytes;
        }
    }

    private void Damage(Dice dice)
    {
        var name = dice.Pick([.. Files.Keys]);
        var bytes = Files[name];
        if (bytes.Length == 0)
            return;
        // Most of a segment may be empty; what matters is where there is something, and just behind it.
        var used = Math.Min(bytes.Length, bytes.AsSpan().LastIndexOfAnyExcept((byte)0) + 64);
        var at = dice.Below(Math.Max(1, used));
        var length = Math.Min(1 << dice.Below(14), bytes.Length - at);
        switch (dice.Below(16))
        {
            case 0 or 1:
                bytes[at] ^= (byte)(1 << dice.Below(8));
                break;
            case 2:
                dice.Fill(bytes.AsSpan(at, length));
                break;
            case 3:
                bytes.AsSpan(at, length).Clear();
                break;
            case 4:
                // Pages that never reached the disk.
                bytes.AsSpan(at & ~4095, Math.Min(4096 << dice.Below(3), bytes.Length - (at & ~4095))).Clear();
                break;
            case 5 or 6:
                Files[name] = bytes[..at];
                break;
            case 7:
                Files[name] = [.. bytes, .. dice.OneIn(2) ? new byte[length] : dice.Bytes(length)];
                break;
            case 8:
                MovePiece(bytes, dice);
                break;
            case 9:
                // The other state: renamed too early, not yet, or there as both.
                var other = name.EndsWith(".open", StringComparison.Ordinal) ? name.Replace(".open", ".sealed", StringComparison.Ordinal) : name.Replace(".sealed", ".open", StringComparison.Ordinal);
                Files[other] = [.. bytes];
                if (dice.OneIn(2) && other != name)
                    Files.Remove(name);
                break;
            case 10:
                Files[dice.Pick(OtherNames)] = dice.OneIn(2) ? [.. bytes] : dice.Bytes(dice.Below(200));
                break;
            case 11:
                Files.Remove(name);
                break;
            case 12:
                Add(LogBody.Foreign, (ulong)dice.Pick([1, 57, 3000]), dice);
                break;
            case 13 when bytes.Length >= SegmentHeader.Bytes:
                bytes[dice.OneIn(8) ? 8 : 16 + dice.Below(48)] = (byte)dice.Next();
                Sum(bytes);
                break;
            default:
                AimAtRecord(bytes, name, dice);
                break;
        }
    }

    private void MovePiece(byte[] bytes, Dice dice)
    {
        // From anywhere in the same log: a record has no other mark of its log than the header of its segment.
        var from = dice.Pick([.. Files.Values.Where(f => f.Length >= SegmentHeader.Bytes && bytes.Length >= SegmentHeader.Bytes && f.AsSpan(16, 16).SequenceEqual(bytes.AsSpan(16, 16))), bytes]);
        var (source, target) = (dice.Below(from.Length), dice.Below(bytes.Length));
        if (!dice.OneIn(3))
            (source, target) = (source & ~7, target & ~7);
        var length = Math.Min(Math.Min(from.Length - source, bytes.Length - target), 1 << dice.Below(15));
        from.AsSpan(source, length).ToArray().CopyTo(bytes, target);
    }

    // A field of its header, the end of the file within it, or a new body under a checksum that is right.
    private unsafe void AimAtRecord(byte[] bytes, string name, Dice dice)
    {
        using var storage = new GuardedStorage();
        storage.Put(name, bytes);
        using var memory = storage.Open(name, writable: false)!;
        if (!SegmentHeader.TryRead(memory, out var header))
            return;
        var places = new List<(int Offset, int Length)>();
        var scan = new SegmentScan(memory, header.First);
        for (var offset = scan.Offset; scan.Next(out var record) == ScanStep.Record; offset = scan.Offset)
        {
            if (record.Kind is not (RecordKind.Seal or RecordKind.Void) || dice.OneIn(8))
                places.Add(((int)offset, record.Body.Length));
        }
        if (places.Count == 0)
            return;
        var (at, length) = places[dice.OneIn(3) ? places.Count - 1 : dice.Below(places.Count)];
        var kind = bytes[at + 16];
        if (dice.OneIn(4))
        {
            Files[name] = bytes[..Math.Min(bytes.Length, at + RecordFormat.HeaderBytes + length + dice.Between(-40, 10))];
            return;
        }
        if (dice.OneIn(2) || kind is (byte)RecordKind.Seal or (byte)RecordKind.Void)
        {
            bytes[at + dice.Below(RecordFormat.HeaderBytes)] ^= (byte)(1 << dice.Below(8));
            return;
        }
        IsForged = true;
        for (var times = dice.Between(1, 4); times > 0; times--)
            bytes[at + RecordFormat.HeaderBytes + dice.Below(Math.Min(length, 80))] = dice.OneIn(2) ? (byte)0xff : (byte)dice.Next();
        fixed (byte* p = bytes)
            RecordFormat.Publish(p + at, length);
    }

    private static unsafe void Sum(byte[] image)
    {
        byte[] rest = [.. image.AsSpan(0, 12), .. image.AsSpan(16, 48)];
        fixed (byte* p = rest)
            BitConverter.TryWriteBytes(image.AsSpan(12), Crc32C.Compute(p, rest.Length));
    }

    private sealed class StandingClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch;
    }
}
