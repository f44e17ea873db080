using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class MessagePackTests
{
    [Theory]
    [InlineData(0ul, "00")]
    [InlineData(127ul, "7f")]
    [InlineData(128ul, "cc80")]
    [InlineData(256ul, "cd0100")]
    [InlineData(65536ul, "ce00010000")]
    [InlineData(4294967296ul, "cf0000000100000000")]
    [InlineData(ulong.MaxValue, "cfffffffffffffffff")]
    public void A_number_takes_its_shortest_form(ulong value, string hex)
    {
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteUnsigned(buffer, value);
        Assert.Equal(hex, Convert.ToHexStringLower(buffer.Written));
        Assert.Equal(ReadResult.Success, new MessagePackReader(buffer.Written).Read(out var token));
        Assert.Equal((MessagePackKind.Unsigned, value), (token.Kind, token.Number));
    }

    [Theory]
    [InlineData(-1, "ff")]
    [InlineData(-32, "e0")]
    [InlineData(-33, "d0df")]
    [InlineData(-129, "d1ff7f")]
    [InlineData(-32769, "d2ffff7fff")]
    [InlineData(-2147483649, "d3ffffffff7fffffff")]
    [InlineData(long.MinValue, "d38000000000000000")]
    public void A_negative_number_takes_its_shortest_form(long value, string hex)
    {
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteInteger(buffer, value);
        Assert.Equal(hex, Convert.ToHexStringLower(buffer.Written));
        Assert.Equal(ReadResult.Success, new MessagePackReader(buffer.Written).Read(out var token));
        Assert.Equal((MessagePackKind.Negative, value), (token.Kind, (long)token.Number));
    }

    [Theory]
    [InlineData("d005", 5ul)]
    [InlineData("d10005", 5ul)]
    [InlineData("d200000005", 5ul)]
    [InlineData("d30000000000000005", 5ul)]
    public void A_positive_number_in_a_signed_form_is_unsigned(string hex, ulong value)
    {
        Assert.Equal(ReadResult.Success, new MessagePackReader(Vectors.Bytes(hex)).Read(out var token));
        Assert.Equal((MessagePackKind.Unsigned, value), (token.Kind, token.Number));
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(31, 1, 2)]
    [InlineData(32, 2, 2)]
    [InlineData(255, 2, 2)]
    [InlineData(256, 3, 3)]
    [InlineData(65535, 3, 3)]
    [InlineData(65536, 5, 5)]
    public void Text_and_binary_come_back_at_every_border_of_length(int length, int textHeader, int binaryHeader)
    {
        var content = new byte[length];
        new Random(length).NextBytes(content);
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteText(buffer, content);
        Assert.Equal(length + textHeader, buffer.Length);
        MessagePackWriter.WriteBinary(buffer, content);
        Assert.Equal((2 * length) + textHeader + binaryHeader, buffer.Length);
        var reader = new MessagePackReader(buffer.Written);
        Assert.Equal(ReadResult.Success, reader.Read(out var text));
        Assert.Equal(MessagePackKind.Text, text.Kind);
        Assert.True(text.Payload.SequenceEqual(content));
        Assert.Equal(ReadResult.Success, reader.Read(out var binary));
        Assert.Equal(MessagePackKind.Binary, binary.Kind);
        Assert.True(binary.Payload.SequenceEqual(content));
        Assert.True(reader.AtEnd);
    }

    [Theory]
    [InlineData(0, "90", "80")]
    [InlineData(15, "9f", "8f")]
    [InlineData(16, "dc0010", "de0010")]
    [InlineData(65536, "dd00010000", "df00010000")]
    public void Counts_take_their_shortest_form(int count, string array, string map)
    {
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteArrayHeader(buffer, count);
        Assert.Equal(array, Convert.ToHexStringLower(buffer.Written));
        buffer.Clear();
        MessagePackWriter.WriteMapHeader(buffer, count);
        Assert.Equal(map, Convert.ToHexStringLower(buffer.Written));
        Assert.Equal(ReadResult.Malformed, new MessagePackReader(buffer.Written).ReadArray(out _));
        Assert.Equal(ReadResult.Success, new MessagePackReader(buffer.Written).ReadMap(out var read));
        Assert.Equal((uint)count, read);
    }

    [Theory]
    [InlineData(1441588984123456789, Vectors.EventTimeFixed)]
    [InlineData(4294967295999999999, Vectors.EventTimeMax)]
    [InlineData(long.MaxValue, Vectors.EventTimeMax)]
    [InlineData(-1, "d7000000000000000000")]
    public void EventTime_is_written_as_fluentd_writes_it(long time, string hex)
    {
        var buffer = new ByteBuffer();
        MessagePackWriter.WriteEventTime(buffer, time);
        Assert.Equal(hex, Convert.ToHexStringLower(buffer.Written));
    }

    [Theory]
    [InlineData("c2")]
    [InlineData("ca3fc00000")]
    [InlineData("cb3ff8000000000000")]
    [InlineData("d401ff")]
    [InlineData("d501ffff")]
    [InlineData("d601ffffffff")]
    [InlineData("d701ffffffffffffffff")]
    [InlineData("d801ffffffffffffffffffffffffffffffff")]
    [InlineData("c70101ff")]
    [InlineData("c8000101ff")]
    [InlineData("c90000000101ff")]
    [InlineData("93a161a162c0")]
    [InlineData("81a161820102c403010203c0")]
    [InlineData("dc0002c0c0")]
    [InlineData("df00000001a16190")]
    public void Skip_passes_over_exactly_one_value_and_knows_when_it_is_cut_off(string hex)
    {
        var bytes = Vectors.Bytes(hex, "c0");
        var reader = new MessagePackReader(bytes);
        Assert.Equal(ReadResult.Success, reader.Skip());
        Assert.Equal(bytes.Length - 1, reader.Position);
        for (var length = 0; length < bytes.Length - 1; length++)
        {
            var cut = new MessagePackReader(bytes.AsSpan(0, length));
            Assert.Equal(ReadResult.Insufficient, cut.Skip());
            Assert.Equal(0, cut.Position);
        }
    }

    [Fact]
    public void A_value_nested_a_million_deep_costs_no_stack()
    {
        var bytes = new byte[1_000_001];
        bytes.AsSpan(0, 1_000_000).Fill(0x91);
        bytes[^1] = 0xc0;
        var reader = new MessagePackReader(bytes);
        Assert.Equal(ReadResult.Success, reader.Skip());
        Assert.True(reader.AtEnd);
    }

    [Theory]
    [InlineData("c6ffffffff")]
    [InlineData("dbffffffff00")]
    [InlineData("ddffffffff")]
    [InlineData("dfffffffffc0")]
    [InlineData("c9ffffffff00")]
    public void A_giant_length_is_only_insufficient(string hex)
    {
        Assert.Equal(ReadResult.Insufficient, new MessagePackReader(Vectors.Bytes(hex)).Skip());
        Assert.True(new ValueScan().Continue(Vectors.Bytes(hex), out var needed) == ReadResult.Insufficient && needed >= uint.MaxValue);
    }

    [Fact]
    public void The_unassigned_code_is_malformed() => Assert.Equal(ReadResult.Malformed, new MessagePackReader([0xc1]).Skip());

    [Fact]
    public void A_buffer_refuses_to_grow_over_its_limit()
    {
        var buffer = new ByteBuffer(maximum: 10);
        buffer.Append(new byte[10]);
        Assert.Throws<ForwardException>(() => buffer.Append((byte)0));
        Assert.Equal(10, buffer.Length);
    }
}
