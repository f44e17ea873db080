using Hikyaku.Forward;
using Hikyaku.Fuzz.Inputs;

namespace Hikyaku.Fuzz.Targets;

/// <summary>
/// What a peer sends: parsed as a whole, in pieces, and by the server over a connection. The outcome does not depend on how the bytes are
/// cut, nothing throws, and memory follows the bytes that came and the limit, never a length that was only claimed.
/// </summary>
internal sealed class ForwardTarget : FuzzTarget
{
    private const int BytesMax = 1 << 20;

    // The server's buffers, the unpacked entries and what they grow through; with a JSON text of six bytes for one.
    private const long MemoryMax = 64 << 20;

    private readonly GuardedBytes _guarded = new(8 << 20);
    private readonly EntryScratch _scratch = new();

    public override string Name => "forward";

    public override int SmokeRounds => 4_000;

    public override byte[] Make(Dice dice)
    {
        var buffer = new ByteBuffer();
        for (var messages = dice.Below(4); messages >= 0; messages--)
            ForwardMessages.WriteMessage(buffer, dice);
        return dice.Mutate(buffer.Written.ToArray(), dice.Below(4), 4 << 20);
    }

    public override void Run(byte[] input)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var whole = Parse(input, static (_, length) => length);
        var dice = new Dice(Dice.Hash(input));
        var pieces = Parse(input, (at, length) => Math.Min(length, at + 1 + dice.Below(1 + (length / 8))));
        BrokenPromise.Unless(whole.SequenceEqual(pieces), $"as a whole: {string.Join("; ", whole)}\nin pieces: {string.Join("; ", pieces)}");

        var served = Serve(input, static _ => int.MaxValue, out var acks);
        var piece = Math.Max(1, input.Length / 200);
        var servedInPieces = Serve(input, _ => 1 + dice.Below(piece * 4), out var acksInPieces);
        BrokenPromise.Unless(served.SequenceEqual(servedInPieces), $"served as a whole: {string.Join("; ", served)}\nin pieces: {string.Join("; ", servedInPieces)}");
        BrokenPromise.Unless(acks.AsSpan().SequenceEqual(acksInPieces), "the same acks however the message came");
        var taken = whole.Where(static m => m.Kind is not (MessageKind.Ignored or MessageKind.Heartbeat or MessageKind.Malformed)).ToList();
        BrokenPromise.Unless(served.Count <= taken.Count && served.SequenceEqual(taken.Take(served.Count)), "the server gives on what the parser gives");
        ReadAcks(input, acks);
        var used = GC.GetAllocatedBytesForCurrentThread() - before;
        BrokenPromise.Unless(used <= MemoryMax + (400L * input.Length), $"{used} bytes of memory for {input.Length} bytes of input");
    }

    // Messages one after the other; each is offered a part of the rest first, then more, as upto says.
    private List<Seen> Parse(byte[] input, Func<int, int, int> upto)
    {
        var message = new ForwardMessage(BytesMax, BytesMax);
        var seen = new List<Seen>();
        for (var start = 0; start < input.Length;)
        {
            var rest = input.Length - start;
            var length = 0;
            MessageKind kind;
            do
            {
                length = upto(length, rest);
                kind = message.Parse(_guarded.Hold(input.AsSpan(start, length)));
                if (kind == MessageKind.NotEnough)
                    BrokenPromise.Unless(message.Needed > length && message.Needed <= BytesMax, $"not enough, but {message.Needed} of {length} bytes are needed");
            }
            while (kind == MessageKind.NotEnough && length < rest);
            if (kind == MessageKind.NotEnough)
                break;
            if (kind == MessageKind.Malformed)
            {
                BrokenPromise.Unless(message.Reason.Length > 0, "a reason for what is malformed");
                seen.Add(new Seen(kind, 0));
                break;
            }
            BrokenPromise.Unless(message.Consumed > 0 && message.Consumed <= length, $"{message.Consumed} bytes of {length} consumed");
            seen.Add(See(message));
            start += message.Consumed;
        }
        return seen;
    }

    private List<Seen> Serve(byte[] input, Func<int, int> cut, out byte[] acks)
    {
        var seen = new List<Seen>();
        var reports = new List<string>();
        using var stream = new CutStream(input, cut);
        var serving = new ForwardServer(
            (message, _, _) =>
            {
                var one = See(message);
                seen.Add(one);
                // Some are refused, and some meet a disk that fails.
                return (one.Sum % 23) switch { 0 => new(false), 1 => throw new IOException("the disk fails"), _ => new(true) };
            },
            reports.Add,
            BytesMax).ServeAsync(stream, "peer", CancellationToken.None);
        BrokenPromise.Unless(serving.IsCompletedSuccessfully, "the server ends with its connection and does not throw");
        BrokenPromise.Unless(reports.Count <= 1 && reports.TrueForAll(static r => !r.Any(static c => c is < ' ' or > '~')), "one report at most, fit for a terminal");
        acks = stream.Written.ToArray();
        return seen;
    }

    private Seen See(ForwardMessage message)
    {
        if (message.Kind is MessageKind.Ignored or MessageKind.Heartbeat)
            return new Seen(message.Kind, (ulong)message.Consumed);
        BrokenPromise.Unless(message.Entries.Length <= BytesMax, $"{message.Entries.Length} bytes of entries");
        var sum = Entries.Read(message.Entries.Span, message.Common.Span, _scratch);
        foreach (var part in new[] { message.Tag, message.Chunk, message.Entries, message.Route, message.Common })
            sum = (sum * 31) ^ Dice.Hash(part.Span);
        return new Seen(message.Kind, sum ^ (ulong)message.Consumed ^ message.Number ^ (message.Done << 1) ^ Dice.Hash(message.Origin.ToByteArray()));
    }

    private void ReadAcks(byte[] input, byte[] acks)
    {
        for (var at = 0; at < acks.Length;)
        {
            BrokenPromise.Unless(Ack.TryParse(acks.AsSpan(at), out var ack) == ReadResult.Success, "an ack of ours is one that we read");
            at += ack.Consumed;
        }
        // The same bytes as an answer of a receiver: whole, and cut anywhere.
        var all = Ack.TryParse(_guarded.Hold(input).Span, out var whole);
        var consumed = whole.Consumed;
        BrokenPromise.Unless(all != ReadResult.Success || (consumed > 0 && consumed <= input.Length), "an ack within its bytes");
        var half = Ack.TryParse(_guarded.Hold(input.AsSpan(0, input.Length / 2)).Span, out _);
        BrokenPromise.Unless(half == ReadResult.Insufficient || half == all, $"half an answer is {half}, the whole is {all}");
    }

    private readonly record struct Seen(MessageKind Kind, ulong Sum);
}
