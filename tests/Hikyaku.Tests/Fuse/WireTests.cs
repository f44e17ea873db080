using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Xunit;

namespace Hikyaku.Tests.Fuse;

public sealed class WireTests
{
    [Fact]
    public void Structs_have_the_sizes_of_the_kernel()
    {
        Is<InHeader>(40);
        Is<OutHeader>(16);
        Is<InitIn>(64);
        Is<InitOut>(64);
        Is<Attr>(88);
        Is<EntryOut>(128);
        Is<AttrOut>(104);
        Is<OpenIn>(8);
        Is<OpenOut>(16);
        Is<CreateIn>(16);
        Is<MkNodIn>(16);
        Is<MkDirIn>(8);
        Is<RenameIn>(8);
        Is<Rename2In>(16);
        Is<LinkIn>(8);
        Is<WriteIn>(40);
        Is<WriteOut>(8);
        Is<ReadIn>(40);
        Is<ReleaseIn>(24);
        Is<FlushIn>(24);
        Is<FSyncIn>(16);
        Is<SetAttrIn>(88);
        Is<GetAttrIn>(16);
        Is<ForgetIn>(8);
        Is<ForgetOne>(16);
        Is<BatchForgetIn>(8);
        Is<GetXAttrIn>(8);
        Is<GetXAttrOut>(8);
        Is<SetXAttrIn>(8);
        Is<AccessIn>(8);
        Is<InterruptIn>(8);
        Is<StatFsOut>(80);
        Is<LSeekIn>(24);
        Is<LSeekOut>(8);
        Is<FAllocateIn>(32);
        Is<Dirent>(24);
    }

    [Fact]
    public void Fields_stand_where_the_kernel_has_them()
    {
        // The offsets of linux/fuse.h; sizes alone would not notice two exchanged fields.
        Assert.Equal(8, Marshal.OffsetOf<InHeader>(nameof(InHeader.Unique)));
        Assert.Equal(32, Marshal.OffsetOf<InHeader>(nameof(InHeader.Pid)));
        Assert.Equal(16, Marshal.OffsetOf<WriteIn>(nameof(WriteIn.Size)));
        Assert.Equal(24, Marshal.OffsetOf<WriteIn>(nameof(WriteIn.LockOwner)));
        Assert.Equal(16, Marshal.OffsetOf<SetAttrIn>(nameof(SetAttrIn.Size)));
        Assert.Equal(68, Marshal.OffsetOf<SetAttrIn>(nameof(SetAttrIn.Mode)));
        Assert.Equal(76, Marshal.OffsetOf<SetAttrIn>(nameof(SetAttrIn.Uid)));
        Assert.Equal(60, Marshal.OffsetOf<Attr>(nameof(Attr.Mode)));
        Assert.Equal(40, Marshal.OffsetOf<EntryOut>(nameof(EntryOut.Attr)));
        Assert.Equal(20, Marshal.OffsetOf<InitOut>(nameof(InitOut.MaxWrite)));
        Assert.Equal(28, Marshal.OffsetOf<InitOut>(nameof(InitOut.MaxPages)));
        Assert.Equal(32, Marshal.OffsetOf<InitOut>(nameof(InitOut.Flags2)));
    }

    private static void Is<T>(int size)
        where T : unmanaged => Assert.True(size == Unsafe.SizeOf<T>(), $"{typeof(T).Name} has {Unsafe.SizeOf<T>()} bytes, not {size}");
}
