using System.Runtime.Versioning;
using Hikyaku.Log;
using Xunit;

namespace Hikyaku.Tests.Log;

[SupportedOSPlatform("linux")]
public sealed class CursorTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Path => _directory.In("a.cursor");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void The_last_position_written_is_read()
    {
        Assert.False(Cursor.TryRead(Path, out _));
        foreach (ulong position in new ulong[] { 5, 7, 6, ulong.MaxValue, 0, 9 })
        {
            Cursor.Write(Path, position);
            Assert.True(Cursor.TryRead(Path, out ulong read));
            Assert.Equal(position, read);
        }
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path));
        Assert.Equal(48, new FileInfo(Path).Length);
    }

    [Fact]
    public void A_write_torn_at_any_byte_leaves_the_position_before_it()
    {
        Cursor.Write(Path, 1);
        Cursor.Write(Path, 2);
        var before = File.ReadAllBytes(Path);
        Cursor.Write(Path, 0x0303030303030303);
        var after = File.ReadAllBytes(Path);
        for (int cut = 0; cut <= 24; cut++)
        {
            File.WriteAllBytes(Path, [.. after.AsSpan(0, cut), .. before.AsSpan(cut)]);
            Assert.True(Cursor.TryRead(Path, out ulong read));
            Assert.True(read is 2 or 0x0303030303030303);
            Assert.True(cut > 0 || read == 2);
            Cursor.Write(Path, 4);
            Assert.True(Cursor.TryRead(Path, out read));
            Assert.Equal(4ul, read);
        }
    }

    [Fact]
    public void A_damaged_cursor_is_no_position_and_can_be_written_again()
    {
        File.WriteAllBytes(Path, new byte[48]);
        Assert.False(Cursor.TryRead(Path, out _));
        File.WriteAllBytes(Path, [1, 2, 3]);
        Assert.False(Cursor.TryRead(Path, out _));
        Cursor.Write(Path, 12);
        Assert.True(Cursor.TryRead(Path, out ulong read));
        Assert.Equal(12ul, read);
    }
}
