using Hikyaku.Log;

namespace Hikyaku.Tests.Transfer;

/// <summary>The disk of this machine, on which something happens right after a file is read for the first time.</summary>
internal sealed class InterruptedDisk() : RebootedDisk(OfThisMachine.Boot)
{
    private readonly Dictionary<string, Action> _after = [];
    private readonly List<string> _open = [];

    public int MostOpen { get; private set; }

    /// <summary>Bytes of any file that cannot be read: those from here to there.</summary>
    public (long From, long To) Bad { get; set; }

    public void AfterReading(string path, Action action) => _after[path] = action;

    public int CountOpen(string path) => _open.Count(p => p == path);

    public override DiskFile? Open(string path, Opening how)
    {
        if (base.Open(path, how) is not { } file)
            return null;
        _open.Add(path);
        MostOpen = Math.Max(MostOpen, _open.Count);
        return new InterruptedFile(this, path, file);
    }

    private sealed class InterruptedFile(InterruptedDisk disk, string path, DiskFile file) : DiskFile
    {
        public override int Read(Span<byte> target, long at)
        {
            if (at < disk.Bad.To && at + target.Length > disk.Bad.From)
                throw new IOException($"{path}: cannot be read: input/output error", 5);
            var got = file.Read(target, at);
            if (disk._after.Remove(path, out var action))
                action();
            return got;
        }

        public override void Write(ReadOnlySpan<byte> bytes, long at) => file.Write(bytes, at);

        public override int Append(ReadOnlySpan<byte> bytes) => file.Append(bytes);

        public override void Truncate(long length) => file.Truncate(length);

        public override void Allocate(long bytes) => file.Allocate(bytes);

        public override void Sync() => file.Sync();

        public override void Dispose()
        {
            disk._open.Remove(path);
            file.Dispose();
        }
    }
}
