using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Xunit;

namespace Hikyaku.Tests.Fuse;

public sealed class FuseNegotiationTests
{
    // As Linux 6.18 offers them.
    private const uint Flags618 = 0x73fffffb;
    private const uint Flags2618 = 0x5fd;

    [Fact]
    public void Newest_kernel_is_asked_for_what_is_wanted_and_nothing_else()
    {
        var (negotiation, reply) = FuseNegotiation.Agree(Init(7, 45, Flags618, Flags2618));
        Assert.NotNull(negotiation);
        Assert.Equal(
            InitFlags.AsyncRead | InitFlags.BigWrites | InitFlags.AsyncDirectIO | InitFlags.ParallelDirOps
            | InitFlags.AbortError | InitFlags.MaxPages | InitFlags.HandleKillPrivV2 | InitFlags.InitExt | InitFlags.DirectIOAllowMmap
            | InitFlags.HasResend,
            negotiation.Flags);
        Assert.True(negotiation.CanResend);
        Assert.Equal(255 * 4096, negotiation.MaxWrite);
        Assert.Equal(256, negotiation.MaxPages);
        Assert.Equal((7u, 45u), (reply.Major, reply.Minor));
        Assert.Equal((ulong)negotiation.Flags, reply.Flags | ((ulong)reply.Flags2 << 32));
        Assert.Equal(255u * 4096, reply.MaxWrite);
        Assert.Equal(256, reply.MaxPages);
        Assert.Equal(1u, reply.TimeGranularity);
    }

    [Fact]
    public void Kernel_without_resend_says_so()
    {
        // Linux 6.1: 7.38, none of the bits above 35.
        var (negotiation, _) = FuseNegotiation.Agree(Init(7, 38, Flags618, 0x0d));
        Assert.False(negotiation!.CanResend);
        Assert.Equal(38u, negotiation.Minor);
    }

    [Fact]
    public void Second_flags_word_counts_only_where_the_first_announces_it()
    {
        var (negotiation, reply) = FuseNegotiation.Agree(Init(7, 45, Flags618 & ~(1u << 30), Flags2618));
        Assert.False(negotiation!.CanResend);
        Assert.Equal(0u, reply.Flags2);
    }

    [Fact]
    public void Old_kernel_with_a_short_INIT_gets_what_it_can()
    {
        var request = RequestBytes.Of(Opcode.Init, RequestBytes.Struct(new InitIn { Major = 7, Minor = 28, Flags = 1 << 5 })[..16]);
        var (negotiation, reply) = FuseNegotiation.Agree(request);
        Assert.Equal(InitFlags.BigWrites, negotiation!.Flags);
        Assert.Equal(31u * 4096, reply.MaxWrite);
    }

    [Fact]
    public void Kernel_of_a_newer_major_is_asked_to_come_down()
    {
        var (negotiation, reply) = FuseNegotiation.Agree(Init(8, 1, 0, 0));
        Assert.Null(negotiation);
        Assert.Equal(7u, reply.Major);
    }

    [Theory]
    [InlineData(7u, 27u)]
    [InlineData(6u, 99u)]
    public void Kernel_that_is_too_old_is_named(uint major, uint minor)
    {
        var e = Assert.Throws<FuseException>(() => FuseNegotiation.Agree(Init(major, minor, Flags618, Flags2618)));
        Assert.Equal(FuseFailure.Protocol, e.Failure);
        Assert.Contains($"{major}.{minor}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Anything_but_INIT_is_refused()
    {
        Assert.Throws<FuseException>(() => FuseNegotiation.Agree(RequestBytes.Of(Opcode.StatFs, new byte[64])));
        Assert.Throws<FuseException>(() => FuseNegotiation.Agree(new byte[30]));
        Assert.Throws<FuseException>(() => FuseNegotiation.Agree(RequestBytes.Of(Opcode.Init, new byte[15])));
    }

    [Fact]
    public void Outcome_survives_a_command_line()
    {
        var (negotiation, _) = FuseNegotiation.Agree(Init(7, 45, Flags618, Flags2618));
        Assert.Equal(negotiation, FuseNegotiation.Parse(negotiation!.ToString()));
        Assert.DoesNotContain(' ', negotiation.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("45,0,4096")]
    [InlineData("45,0,4096,256,1")]
    [InlineData("45,xyz,4096,256")]
    [InlineData("45,0,-1,256")]
    [InlineData("45,0,999999999999,256")]
    [InlineData("45,0,4096,0")]
    public void Text_that_is_no_outcome_is_refused(string text) => Assert.Throws<FormatException>(() => FuseNegotiation.Parse(text));

    private static byte[] Init(uint major, uint minor, uint flags, uint flags2) =>
        RequestBytes.Of(Opcode.Init, RequestBytes.Struct(new InitIn { Major = major, Minor = minor, MaxReadahead = 131072, Flags = flags, Flags2 = flags2 }));
}
