using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class MutationTests
{
    private const int Rounds = 60_000;

    [Theory]
    [InlineData(1)]
    [InlineData(20250801)]
    public void Mutated_messages_never_crash_and_never_grow_over_their_limits(int seed)
    {
        var random = new Random(seed);
        var seeds = Vectors.Messages.Append(Vectors.AckOfMessageChunk).Append(CompactChunk()).Select(hex => Vectors.Bytes(hex)).ToArray();
        var scratch = new EntryScratch();
        var message = new ForwardMessage(1 << 20, 1 << 20);
        var understood = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var bytes = Mutate((byte[])seeds[random.Next(seeds.Length)].Clone(), random);
            try
            {
                // In pieces first, as it would come from a socket.
                var kind = message.Parse(bytes.AsMemory(0, random.Next(bytes.Length + 1)));
                if (kind == MessageKind.NotEnough)
                    kind = message.Parse(bytes);
                Assert.InRange(message.Consumed, 0, bytes.Length);
                Read(bytes, default, scratch);
                Ack.TryParse(bytes, out _);
                if (kind is MessageKind.Message or MessageKind.Forward or MessageKind.PackedForward or MessageKind.CompressedPackedForward)
                {
                    understood++;
                    Assert.InRange(message.Entries.Length, 0, 1 << 20);
                    Read(message.Entries.Span, message.Common.Span, scratch);
                    Read(message.Entries.Span, bytes, scratch);
                }
                if (kind == MessageKind.NotEnough)
                    message = new ForwardMessage(1 << 20, 1 << 20);
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}, round {round}, bytes {Convert.ToHexStringLower(bytes)}: {e}");
            }
        }
        // A loop that only ever meets rubbish would prove little.
        Assert.InRange(understood, Rounds / 20, Rounds);
    }

    private static void Read(ReadOnlySpan<byte> packed, ReadOnlySpan<byte> common, EntryScratch scratch)
    {
        var reader = new EntryReader(packed, common, scratch);
        var position = 0;
        while (reader.TryRead(out var entry))
        {
            if (reader.Position <= position || reader.Position > packed.Length)
                throw new InvalidOperationException("the reader does not advance");
            position = reader.Position;
            // Touches every byte that the entry claims to have.
            _ = entry.Message.Count((byte)0) + entry.Fields.Host.Count((byte)0) + entry.Fields.Path.Count((byte)0);
        }
    }

    private static byte[] Mutate(byte[] bytes, Random random)
    {
        for (var times = random.Next(1, 4); times > 0; times--)
        {
            if (bytes.Length == 0)
                break;
            var at = random.Next(bytes.Length);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes = bytes[..at];
                    break;
                case 3:
                    bytes = [.. bytes[..at], .. bytes[random.Next(at + 1)..]];
                    break;
                default:
                    // The codes with lengths are where parsers go wrong.
                    bytes[at] = (byte)(0xc0 + random.Next(32));
                    break;
            }
        }
        return bytes;
    }

    private static string CompactChunk()
    {
        var chunk = new ChunkWriter();
        chunk.Begin("t"u8);
        chunk.AddCompact(1, "line"u8, 1, chunk.AddCommon(new EntryFields { Host = "h"u8, Path = "p"u8, Pid = 1, Uid = 1 }));
        chunk.AddCompact(2, "line"u8, 1, -1);
        return Convert.ToHexString(chunk.Finish(new ChunkOptions { Id = "i"u8, Origin = Guid.Empty, Route = "r"u8, Number = 1 }).Span);
    }
}
