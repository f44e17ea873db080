using Hikyaku.Log;

namespace Hikyaku.Tests.Transfer;

/// <summary>The disk of this machine; when the power goes, files other than the log's are as they were synced last, under the names that were.</summary>
internal sealed class PoweredDisk() : RebootedDisk(Guid.NewGuid())
{
    private sealed class Content
    {
        public byte[] Bytes { get; set; } = [];
    }

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Content> _names = [];
    private readonly Dictionary<string, Content> _durable = [];

    public bool FailsNextSync { get; set; }

    public override DiskFile? Open(string path, Opening how)
    {
        var file = base.Open(path, how);
        lock (_lock)
        {
            if (file is null || how is Opening.Existing or Opening.ExistingAmongForeign)
                return file;
            if (!_names.TryGetValue(path, out var content))
                _names[path] = content = new Content();
            return new PoweredFile(this, path, content, file);
        }
    }

    public override void Rename(string from, string to)
    {
        base.Rename(from, to);
        lock (_lock)
        {
            if (_names.Remove(from, out var content))
                _names[to] = content;
        }
    }

    public override void SyncDirectory(string path)
    {
        base.SyncDirectory(path);
        lock (_lock)
        {
            foreach (var (name, content) in _names)
            {
                if (Path.GetDirectoryName(name) == path)
                    _durable[name] = content;
            }
        }
    }

    public void LosePower()
    {
        lock (_lock)
        {
            foreach (var (name, content) in _names)
            {
                if (_durable.GetValueOrDefault(name) != content)
                    File.Delete(name);
            }

            // In place: a file that stays keeps its inode.
            foreach (var (name, content) in _durable)
                File.WriteAllBytes(name, content.Bytes);
            _names.Clear();
            foreach (var (name, content) in _durable)
                _names[name] = content;
        }
    }

    /// <summary>Whether there would be a file of this name.</summary>
    public bool Outlives(string path)
    {
        lock (_lock)
            return _durable.ContainsKey(path);
    }

    private sealed class PoweredFile(PoweredDisk disk, string path, Content content, DiskFile file) : DiskFile
    {
        public override int Read(Span<byte> target, long at) => file.Read(target, at);

        public override void Write(ReadOnlySpan<byte> bytes, long at) => file.Write(bytes, at);

        public override int Append(ReadOnlySpan<byte> bytes) => file.Append(bytes);

        public override void Truncate(long length) => file.Truncate(length);

        public override void Allocate(long bytes) => file.Allocate(bytes);

        public override void Sync()
        {
            if (disk.FailsNextSync)
            {
                disk.FailsNextSync = false;
                throw new IOException($"{path}: cannot be synced: input/output error", 5);
            }

            file.Sync();
            lock (disk._lock)
            {
                content.Bytes = File.ReadAllBytes(disk._names.First(n => n.Value == content).Key);
            }
        }

        public override void Dispose() => file.Dispose();
    }
}
