using Hikyaku.Forward;
using Hikyaku.Fuzz.Inputs;

namespace Hikyaku.Fuzz.Targets;

/// <summary>
/// Bytes as MessagePack and as packed entries. Reading never throws, ends, consumes no more than there is, and gives the same however the
/// bytes come; what was read is written and read again as the same.
/// </summary>
internal sealed class MessagePackTarget : FuzzTarget
{
    private readonly GuardedBytes _input = new(4 << 20);
    private readonly GuardedBytes _common = new(1 << 20);
    private readonly ByteBuffer _buffer = new();
    private readonly EntryScratch _scratch = new();

    public override string Name => "messagepack";

    public override int SmokeRounds => 25_000;

    public override byte[] Make(Dice dice)
    {
        var buffer = new ByteBuffer();
        if (dice.OneIn(2))
            ForwardMessages.WriteEntries(buffer, dice, dice.Below(6), commons: dice.Below(3));
        else
            for (var values = dice.Below(6); values >= 0; values--)
                ForwardMessages.WriteValue(buffer, dice, dice.Below(5));
        return dice.Mutate(buffer.Written.ToArray(), dice.Below(5), 64 << 10);
    }

    public override void Run(byte[] input)
    {
        var bytes = _input.Hold(input).Span;
        ReadTokens(bytes);
        SkipInPieces(bytes, new Dice(Dice.Hash(input)));
        bytes = _input.Hold(input).Span;
        Entries.Read(bytes, default, _scratch);
        // The same bytes as the common fields, whole and cut.
        Entries.Read(bytes, bytes, _scratch);
        Entries.Read(bytes, _common.Hold(input.AsSpan(0, Math.Min(input.Length / 2, _common.Capacity))).Span, _scratch);
        WriteAndReadEntries(new Dice(Dice.Hash(input)));
    }

    private void ReadTokens(ReadOnlySpan<byte> bytes)
    {
        var reader = new MessagePackReader(bytes);
        while (!reader.AtEnd)
        {
            var before = reader.Position;
            var result = reader.Read(out var token);
            if (result != ReadResult.Success)
            {
                BrokenPromise.Unless(reader.Position == before, "a failed read leaves the position where it was");
                return;
            }
            BrokenPromise.Unless(reader.Position > before && reader.Position <= bytes.Length, "a read goes on, and not beyond the end");
            var used = bytes[before..reader.Position];
            BrokenPromise.Unless(token.Payload.IsEmpty || used.EndsWith(token.Payload), "the payload is the end of its value");
            WriteAndRead(token);
            if (token.Kind is MessagePackKind.Array or MessagePackKind.Map)
                continue;
            var skipping = new MessagePackReader(bytes) { Position = before };
            BrokenPromise.Unless(skipping.Skip() == ReadResult.Success && skipping.Position == reader.Position, "a value is passed over as it is read");
        }
    }

    private void WriteAndRead(in MessagePackToken token)
    {
        _buffer.Clear();
        switch (token.Kind)
        {
            case MessagePackKind.Nil:
                MessagePackWriter.WriteNil(_buffer);
                break;
            case MessagePackKind.Boolean:
                MessagePackWriter.WriteBoolean(_buffer, token.Number != 0);
                break;
            case MessagePackKind.Unsigned:
                MessagePackWriter.WriteUnsigned(_buffer, token.Number);
                break;
            case MessagePackKind.Negative:
                MessagePackWriter.WriteInteger(_buffer, (long)token.Number);
                break;
            case MessagePackKind.Text:
                MessagePackWriter.WriteText(_buffer, token.Payload);
                break;
            case MessagePackKind.Binary:
                MessagePackWriter.WriteBinary(_buffer, token.Payload);
                break;
            case MessagePackKind.Array when token.Number <= int.MaxValue:
                MessagePackWriter.WriteArrayHeader(_buffer, (int)token.Number);
                break;
            case MessagePackKind.Map when token.Number <= int.MaxValue:
                MessagePackWriter.WriteMapHeader(_buffer, (int)token.Number);
                break;
            default:
                return;
        }
        var reader = new MessagePackReader(_buffer.Written);
        var result = reader.Read(out var again);
        BrokenPromise.Unless(
            result == ReadResult.Success && reader.AtEnd && again.Kind == token.Kind && again.Number == token.Number && again.Payload.SequenceEqual(token.Payload),
            $"{token.Kind} {token.Number} is read as it was written");
    }

    private void SkipInPieces(ReadOnlySpan<byte> bytes, Dice dice)
    {
        var whole = new ValueScan();
        var expected = whole.Continue(bytes, out var needed);
        BrokenPromise.Unless(whole.Length <= bytes.Length, "a scan ends where the bytes end");
        if (expected == ReadResult.Insufficient)
            BrokenPromise.Unless(needed > bytes.Length, $"what is not whole needs more than there is: {needed} of {bytes.Length}");
        var copy = bytes.ToArray();
        var scan = new ValueScan();
        var result = ReadResult.Insufficient;
        long least = 0;
        for (var length = 0; result == ReadResult.Insufficient; length = Math.Min(copy.Length, length + 1 + dice.Below(1 + (copy.Length / 4))))
        {
            // Each piece ends at the wall, so that what is yet to come cannot be looked at.
            result = scan.Continue(_input.Hold(copy.AsSpan(0, length)).Span, out needed);
            BrokenPromise.Unless(needed >= least, "the least that is needed never falls");
            least = needed;
            if (length == copy.Length)
                break;
        }
        BrokenPromise.Unless(result == expected && scan.Length == whole.Length, $"in pieces {result} at {scan.Length}, as a whole {expected} at {whole.Length}");
    }

    private void WriteAndReadEntries(Dice dice)
    {
        var (host, path, line) = (dice.Bytes(dice.Below(40)), dice.Bytes(dice.Below(300)), dice.Bytes(dice.Below(70_000) >> dice.Below(16)));
        uint? pid = dice.OneIn(2) ? (uint)dice.Number() : null, uid = dice.OneIn(2) ? (uint)dice.Number() : null;
        var time = (long)(dice.Next() % 4_294_967_296_000_000_000ul);
        var fields = new EntryFields { Host = host, Path = path, Pid = pid, Uid = uid };
        var common = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(common, 1);
        EntryWriter.WriteCommon(common, fields);
        _buffer.Clear();
        var packed = new ByteBuffer();
        var count = EntryWriter.WriteFields(packed, fields);
        EntryWriter.Write(_buffer, time, line, packed.Written, count);
        EntryWriter.WriteCompact(_buffer, time, line, dice.OneIn(2), 0);
        EntryWriter.WriteCompact(_buffer, time, line, dice.OneIn(2), -1);
        BrokenPromise.Unless(_buffer.Length <= 3 * (line.Length + EntryWriter.OverheadMax) + host.Length + path.Length, "entries no longer than promised");
        var reader = new EntryReader(_buffer.Written, common.Written, _scratch);
        for (var i = 0; i < 3; i++)
        {
            BrokenPromise.Unless(reader.TryRead(out var entry), "an entry as it was written");
            BrokenPromise.Unless(
                entry.Time == time && entry.Message.SequenceEqual(line) && entry.Fields.Host.SequenceEqual(host) && entry.Fields.Path.SequenceEqual(path)
                && entry.Fields.Pid == pid && entry.Fields.Uid == uid, "the fields of an entry as they were written");
        }
        BrokenPromise.Unless(!reader.TryRead(out _) && reader.Broken == 0, "three entries and no more");
    }
}
