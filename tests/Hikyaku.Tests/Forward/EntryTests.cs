using System.Text;
using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class EntryTests
{
    private const string Line = "81a76d657373616765a3666f6f";

    [Theory]
    [InlineData(Vectors.EventTimeFixed, 1441588984123456789)]
    [InlineData(Vectors.EventTimeExt8, 1441588984123456789)]
    [InlineData(Vectors.EventTimeMax, 4294967295999999999)]
    [InlineData("ce55ece6f8", 1441588984000000000)]
    [InlineData("cb3ff8000000000000", 1500000000)]
    [InlineData("cbbff8000000000000", -1500000000)]
    [InlineData("ff", -1000000000)]
    [InlineData("00", 0)]
    [InlineData("c0", 0)]
    [InlineData("cfffffffffffffffff", 0)]
    [InlineData("d38000000000000000", 0)]
    [InlineData("cb7ff8000000000000", 0)]
    [InlineData("cb7ff0000000000000", 0)]
    [InlineData("92d70055ece6f8075bcd1580", 1441588984123456789)]
    [InlineData("9105", 5000000000)]
    public void Every_form_of_time_is_read(string time, long expected)
    {
        Assert.Equal($"{expected} foo", Events.Text(Vectors.Bytes("92", time, Line), default, out var broken));
        Assert.Equal(0, broken);
    }

    [Theory]
    [InlineData("81a36c6f67a178", "x")]
    [InlineData("82a36c6f67a178a76d657373616765a179", "y")]
    [InlineData("82a76d657373616765a179a36c6f67a178", "y")]
    [InlineData("82a76d657373616765c0a36c6f67a178", "x")]
    [InlineData("81a76d657373616765c4026869", "hi")]
    [InlineData("81c4076d657373616765a179", "y")]
    [InlineData("81a76d657373616765a0", "")]
    [InlineData("81a76d65737361676505", "5")]
    [InlineData("81a76d65737361676581a161920102", """{"a":[1,2]}""")]
    [InlineData("83a161a178a162c3a163c0", """{"a":"x","b":true,"c":null}""")]
    [InlineData("80", "{}")]
    [InlineData("8105fb", """{"5":-5}""")]
    [InlineData("81a161a4220a5c01", """{"a":"\"\n\\\u0001"}""")]
    [InlineData("81a161d70055ece6f8000001f4", """{"a":1441588984.000000500}""")]
    [InlineData("81a161d401ff", """{"a":"ff"}""")]
    [InlineData("82a161cb3ff8000000000000a162cb7ff8000000000000", """{"a":1.5,"b":null}""")]
    [InlineData("81a161a2fffe", "{\"a\":\"\u00ff\u00fe\"}")]
    public void A_record_gives_its_line(string record, string line)
    {
        Assert.Equal($"1000000000 {line}".TrimEnd(), Events.Text(Vectors.Bytes("9201", record), default, out var broken).TrimEnd());
        Assert.Equal(0, broken);
    }

    [Fact]
    public void A_line_that_is_nested_too_deep_is_rendered_to_a_floor()
    {
        var bytes = new ByteBuffer();
        bytes.Append(Vectors.Bytes("920181a161"));
        for (var i = 0; i < 100_000; i++)
            bytes.Append((byte)0x91);
        bytes.Append((byte)0x01);
        var text = Events.Text(bytes.Written, default, out var broken);
        Assert.Equal(0, broken);
        Assert.StartsWith("""1000000000 {"a":[[[[""", text, StringComparison.Ordinal);
        Assert.Contains("[null]", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Foreign_names_for_host_and_path_are_known()
    {
        Assert.Equal(
            "1000000000 x host=h path=p pid=1 uid=2",
            Events.Text(Vectors.Bytes("920185a36c6f67a178a8686f73746e616d65a168ab7461696c65645f70617468a170a370696401a375696402"), default, out _));
        Assert.Equal(
            "1000000000 x host=A path=B",
            Events.Text(Vectors.Bytes("920185a36c6f67a178a4686f7374a141a8686f73746e616d65a168a470617468a142ab7461696c65645f70617468a170"), default, out _));
    }

    [Fact]
    public void Both_forms_come_back_as_written()
    {
        var buffer = new ByteBuffer();
        var fields = new ByteBuffer();
        var count = EntryWriter.WriteFields(fields, new EntryFields { Host = "h"u8, Path = "p/q"u8, Pid = uint.MaxValue, Uid = 0 });
        EntryWriter.Write(buffer, 1, "full"u8, fields.Written, count);
        EntryWriter.Write(buffer, 2, "bare"u8, default, 0);
        Assert.Equal("1 full host=h path=p/q pid=4294967295 uid=0|2 bare", Events.Text(buffer.Written, default, out _));
        Assert.InRange(buffer.Length, 0, (2 * EntryWriter.OverheadMax) + "fullhp/qbare".Length);
    }

    [Theory]
    [InlineData("05")]
    [InlineData("c0")]
    [InlineData("90")]
    [InlineData("9301" + Line + "c0")]
    [InlineData("9201c0")]
    [InlineData("920105")]
    [InlineData("92a16180")]
    [InlineData("9290" + Line)]
    [InlineData("92d70155ece6f8075bcd15" + Line)]
    [InlineData("92018180a0")]
    public void A_broken_entry_is_counted_and_the_good_ones_are_kept(string broken)
    {
        var good = Vectors.Bytes(Vectors.Entries);
        byte[] bytes = [.. good, .. Vectors.Bytes(broken), .. good];
        Assert.Equal($"{Events.Three}|{Events.Three}", Events.Text(bytes, default, out var count));
        Assert.Equal(1, count);
    }

    [Theory]
    [InlineData("92d700")]
    [InlineData("c1")]
    [InlineData("9201c1")]
    [InlineData("ddffffffff")]
    public void What_cannot_be_separated_is_one_broken_entry(string rest)
    {
        Assert.Equal(Events.Three, Events.Text(Vectors.Bytes(Vectors.Entries, rest), default, out var broken));
        Assert.Equal(1, broken);
    }

    [Fact]
    public void Entries_cut_off_anywhere_keep_the_whole_ones()
    {
        var bytes = Vectors.Bytes(Vectors.Entries);
        for (var length = 0; length <= bytes.Length; length++)
        {
            var text = Events.Text(bytes.AsSpan(0, length), default, out var broken);
            Assert.Equal(length / 24, text.Split('|', StringSplitOptions.RemoveEmptyEntries).Length);
            Assert.Equal(length % 24 == 0 ? 0 : 1, broken);
        }
    }

    [Fact]
    public void An_index_beyond_the_common_fields_is_broken_and_the_source_is_unknown_until_it_is_named_again()
    {
        var common = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(common, 1);
        EntryWriter.WriteCommon(common, new EntryFields { Path = "p"u8 });
        var buffer = new ByteBuffer();
        EntryWriter.WriteCompact(buffer, 1, "a"u8, false, 0);
        EntryWriter.WriteCompact(buffer, 2, "b"u8, false, 1);
        EntryWriter.WriteCompact(buffer, 3, "c"u8, false, -1);
        EntryWriter.WriteCompact(buffer, 4, "d"u8, false, 0);
        Assert.Equal("1 a path=p|3 c|4 d path=p", Events.Text(buffer.Written, common.Written, out var broken));
        Assert.Equal(1, broken);
    }

    [Fact]
    public void A_foreign_record_may_have_a_key_named_common()
    {
        var buffer = new ByteBuffer();
        EntryWriter.WriteCompact(buffer, 1, "a"u8, false, 77);
        Assert.Equal("1 a", Events.Text(buffer.Written, default, out var broken));
        Assert.Equal(0, broken);
    }

    [Fact]
    public void Reader_tells_where_an_entry_ends_and_which_common_fields_it_has()
    {
        var common = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(common, 1);
        EntryWriter.WriteCommon(common, default);
        var buffer = new ByteBuffer();
        EntryWriter.WriteCompact(buffer, 1, "a"u8, false, 0);
        var end = buffer.Length;
        EntryWriter.WriteCompact(buffer, 2, "b"u8, false, -1);
        var reader = new EntryReader(buffer.Written, common.Written, new EntryScratch());
        Assert.True(reader.TryRead(out var entry));
        Assert.Equal((end, 0), (reader.Position, entry.Common));
        Assert.True(reader.TryRead(out entry));
        Assert.Equal((buffer.Length, 0), (reader.Position, entry.Common));
        Assert.False(reader.TryRead(out _));
    }

    [Fact]
    public void Nothing_is_allocated_per_entry_written_or_read()
    {
        const int Entries = 10_000;
        var chunk = new ChunkWriter();
        var scratch = new EntryScratch();
        var message = new ForwardMessage();
        // The first round pays for buffers.
        Round();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Round();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Round()
        {
            chunk.Begin("tag"u8);
            var k = chunk.AddCommon(new EntryFields { Host = "host"u8, Path = "access.log"u8, Pid = 1, Uid = 2 });
            chunk.SetFields(new EntryFields { Host = "h"u8, Path = "p"u8, Pid = 3, Uid = 4 });
            for (var i = 0; i < Entries; i++)
            {
                if (i % 2 == 0)
                    chunk.AddCompact(i, "GET /index.html HTTP/1.1"u8, 1, i == 0 ? k : -1);
                else
                    chunk.Add(i, "GET /index.html HTTP/1.1"u8);
            }
            var bytes = chunk.Finish(new ChunkOptions { Id = "id"u8, Origin = Guid.Empty, Route = "r"u8, Number = 1, Done = 0 });
            if (message.Parse(bytes) != MessageKind.PackedForward)
                throw new InvalidOperationException(message.Reason);
            var reader = new EntryReader(message.Entries.Span, message.Common.Span, scratch);
            var count = 0;
            while (reader.TryRead(out _))
                count++;
            if (count != Entries || reader.Broken != 0)
                throw new InvalidOperationException($"{count} entries, {reader.Broken} broken");
        }
    }

    [Fact]
    public void A_block_of_lines_comes_back_as_written()
    {
        var (common, buffer) = (Common("p"), new ByteBuffer());
        EntryWriter.WriteCompact(buffer, 1, "a\nb\n\nc"u8, true, 0);
        EntryWriter.WriteCompact(buffer, 2, "d\ne"u8, true, -1);
        EntryWriter.WriteCompact(buffer, 3, "f"u8, false, -1);
        var reader = new EntryReader(buffer.Written, common, new EntryScratch());
        var seen = new List<string>();
        while (reader.TryRead(out var entry))
            seen.Add($"{entry.Time} {entry.IsBlock} {Encoding.UTF8.GetString(entry.Fields.Path)} {Encoding.UTF8.GetString(entry.Message)}");

        Assert.Equal(["1 True p a\nb\n\nc", "2 True p d\ne", "3 False p f"], seen);
        Assert.Equal(0, reader.Broken);
    }

    [Fact]
    public void Lines_of_a_foreign_sender_are_a_key_like_any_other()
    {
        var buffer = new ByteBuffer();
        EntryWriter.WriteCompact(buffer, 1_000_000_000, "a\nb"u8, true, -1);

        Assert.Equal("1000000000 {\"lines\":\"a\\nb\"}", Events.Text(buffer.Written, default, out var broken));
        Assert.Equal(0, broken);
    }

    [Fact]
    public void A_message_beside_lines_is_the_line()
    {
        var (common, buffer) = (Common("p"), new ByteBuffer());
        MessagePackWriter.WriteArrayHeader(buffer, 2);
        MessagePackWriter.WriteEventTime(buffer, 1);
        MessagePackWriter.WriteMapHeader(buffer, 3);
        foreach (var text in new[] { "message", "m", "lines", "a\nb" })
            MessagePackWriter.WriteText(buffer, Encoding.UTF8.GetBytes(text));
        MessagePackWriter.WriteText(buffer, "common"u8);
        MessagePackWriter.WriteUnsigned(buffer, 0);

        Assert.Equal("1 m path=p", Events.Text(buffer.Written, common, out _));
    }

    [Fact]
    public void A_block_over_the_limit_is_broken_and_those_behind_it_are_not()
    {
        var (common, buffer) = (Common("p"), new ByteBuffer());
        EntryWriter.WriteCompact(buffer, 1, new byte[EntryWriter.BlockBytesMax + 1], true, 0);
        EntryWriter.WriteCompact(buffer, 2, "a\nb"u8, true, 0);

        Assert.Equal("2 a\nb path=p", Events.Text(buffer.Written, common, out var broken));
        Assert.Equal(1, broken);
    }

    private static byte[] Common(string path)
    {
        var common = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(common, 1);
        EntryWriter.WriteCommon(common, new EntryFields { Path = Encoding.UTF8.GetBytes(path) });
        return common.Written.ToArray();
    }
}
