using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Xunit;

namespace Hikyaku.Tests.Fuse;

public sealed class DirectoryWriterTests
{
    [Fact]
    public void Names_are_padded_to_eight_bytes_with_zeros()
    {
        var payload = new byte[100];
        Array.Fill(payload, (byte)0xff);
        var writer = new DirectoryWriter(payload);
        Assert.True(writer.TryAdd(11, 1, 8, "abc"u8));
        Assert.True(writer.TryAdd(12, 2, 4, "12345678"u8));
        Assert.Equal(32 + 32, writer.Length);
        Assert.Equal(
            "0b00000000000000" + "0100000000000000" + "03000000" + "08000000" + "6162630000000000"
            + "0c00000000000000" + "0200000000000000" + "08000000" + "04000000" + "3132333435363738",
            Convert.ToHexStringLower(payload.AsSpan(0, 64)));
        Assert.Equal(0xff, payload[64]);
    }

    [Fact]
    public void Name_that_does_not_fit_is_refused_and_changes_nothing()
    {
        var payload = new byte[63];
        var writer = new DirectoryWriter(payload);
        Assert.True(writer.TryAdd(1, 1, 0, "a"u8));
        Assert.False(writer.TryAdd(2, 2, 0, "b"u8));
        Assert.Equal(32, writer.Length);
        Assert.True(payload.AsSpan(32).IndexOfAnyExcept((byte)0) < 0);
        Assert.False(new DirectoryWriter([]).TryAdd(1, 1, 0, "a"u8));
    }

    [Fact]
    public void Record_that_fits_exactly_is_taken()
    {
        var writer = new DirectoryWriter(new byte[32]);
        Assert.True(writer.TryAdd(1, 1, 0, "exactly8"u8));
        Assert.Equal(24, Marshal.SizeOf<Dirent>());
    }
}
