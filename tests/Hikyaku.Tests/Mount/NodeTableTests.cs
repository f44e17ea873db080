using Hikyaku.Mount;
using Hikyaku.Tests.Log;
using Xunit;

namespace Hikyaku.Tests.Mount;

public sealed unsafe class NodeTableTests
{
    [Fact]
    public void After_a_restart_an_inode_number_used_again_means_the_later_file()
    {
        using var folder = new TemporaryDirectory();
        using var state = MountState.Create(Path.Combine(folder.Path, "state"), 1, 1, 1);
        var nodes = new NodeTable(state);
        Assert.True(nodes.PlantRoot(File(inode: 2, birth: 1)));
        var first = nodes.Remember(File(inode: 10, birth: 2), NodeTable.Root, "first"u8);
        var old = nodes.Remember(File(inode: 11, birth: 3), NodeTable.Root, "name"u8);
        // Its file is gone, but the kernel knows the node still; the slot before it is used again.
        nodes[old]->Lookups = 1;
        nodes.Detach(old, fileIsGone: true);
        nodes[first]->Lookups = 1;
        nodes.Forget(nodes.IdOf(first), 1);
        var later = nodes.Remember(File(inode: 11, birth: 4), NodeTable.Root, "name"u8);
        Assert.True(later < old);

        var again = new NodeTable(state);

        Assert.Equal(later, again.SlotOf(File(inode: 11, birth: 4)));
    }

    private static Libc.Statx File(ulong inode, long birth) => new() { Inode = inode, Birth = new() { Seconds = birth }, Links = 1, Mode = 0x8000 };
}
