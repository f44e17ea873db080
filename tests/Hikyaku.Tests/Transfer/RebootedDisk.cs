using Hikyaku.Log;

namespace Hikyaku.Tests.Transfer;

/// <summary>The disk of this machine, as after a boot of that name.</summary>
internal class RebootedDisk(Guid boot) : Disk
{
    public override Guid Boot => boot;

    public override ILogStorage Log(string directory) => OfThisMachine.Log(directory);

    public override DiskFile? Open(string path, Opening how) => OfThisMachine.Open(path, how);

    public override void Rename(string from, string to) => OfThisMachine.Rename(from, to);

    public override IReadOnlyList<string> List(string directory) => OfThisMachine.List(directory);

    public override void MakeDirectory(string path, UnixFileMode mode) => OfThisMachine.MakeDirectory(path, mode);

    public override void SyncDirectory(string path) => OfThisMachine.SyncDirectory(path);

    public override bool TryStat(string path, out ulong inode, out long length) => OfThisMachine.TryStat(path, out inode, out length);
}
