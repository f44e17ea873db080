using System.Text;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class MessageTests
{
    [Fact]
    public void A_chunk_we_write_is_a_chunk_we_read()
    {
        var origin = Guid.NewGuid();
        var chunk = new ChunkWriter();
        chunk.Begin("a.b"u8);
        var first = chunk.AddCommon(new EntryFields { Host = "foo"u8, Path = "access.log"u8, Pid = 7, Uid = 0 });
        var second = chunk.AddCommon(new EntryFields { Host = "foo"u8, Path = "error.log"u8 });
        chunk.AddCompact(1, "one"u8, first);
        chunk.AddCompact(2, "two"u8, -1);
        chunk.AddCompact(3, "three"u8, second);
        var bytes = chunk.Finish(new ChunkOptions { Id = "id-1"u8, Origin = origin, Route = "r"u8, Number = 9, Done = 8 });

        var message = new ForwardMessage();
        Assert.Equal(MessageKind.PackedForward, message.Parse(bytes));
        Assert.Equal(bytes.Length, message.Consumed);
        Assert.True(message.HasOrigin);
        Assert.Equal(origin, message.Origin);
        Assert.Equal((9ul, 8ul), (message.Number, message.Done));
        Assert.True(message.Route.Span.SequenceEqual("r"u8));
        Assert.Equal("[1 one foo access.log 7][2 two foo access.log 7][3 three foo error.log ]", Text(message));
    }

    private static string Text(ForwardMessage message)
    {
        var text = new StringBuilder();
        var reader = new EntryReader(message.Entries.Span, message.Common.Span, new EntryScratch());
        while (reader.TryRead(out var entry))
            text.Append($"[{entry.Time} {Encoding.UTF8.GetString(entry.Message)} {Encoding.UTF8.GetString(entry.Fields.Host)} {Encoding.UTF8.GetString(entry.Fields.Path)} {entry.Fields.Pid}]");
        Assert.Equal(0, reader.Broken);
        return text.ToString();
    }
}
