using Hikyaku.Fuse;
using Xunit;

namespace Hikyaku.Tests.Fuse;

public sealed class MountTableTests
{
    [Fact]
    public void Lines_of_mountinfo_are_understood()
    {
        var entries = MountTable.Parse(
            """
            22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
            40 22 0:50 / /srv/two\040words\011and\134so rw,nosuid shared:2 master:1 - fuse.hikyaku my\040logs rw,user_id=0
            41 22 0:51 / /plain rw - fuse /dev/fuse rw
            nonsense
            42 22 0:52 / /short rw -

            """);
        Assert.Equal(
            [
                new MountEntry("/", "ext4", "/dev/root", "254:0"),
                new MountEntry("/srv/two words\tand\\so", "fuse.hikyaku", "my logs", "0:50"),
                new MountEntry("/plain", "fuse", "/dev/fuse", "0:51"),
            ],
            entries);
        Assert.Equal([false, true, true], entries.Select(entry => entry.IsFuse));
    }

    [Fact]
    public void Root_is_mounted_and_alive()
    {
        var root = MountTable.Find("/");
        Assert.NotNull(root);
        Assert.Equal("/proc", MountTable.Find("/proc/../proc/")?.MountPoint);
        Assert.False(MountTable.IsDead(root));
    }

    [Fact]
    public void Ordinary_directory_is_no_mount()
    {
        var directory = Directory.CreateTempSubdirectory();
        try
        {
            Assert.Null(MountTable.Find(directory.FullName));
            Assert.Null(MountTable.Find(Path.Join(directory.FullName, "missing")));
        }
        finally
        {
            directory.Delete();
        }
    }
}
