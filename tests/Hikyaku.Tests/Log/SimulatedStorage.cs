using System.Runtime.InteropServices;
using Hikyaku.Log;

namespace Hikyaku.Tests.Log;

/// <summary>A disk in memory: fails on demand, can be full, and can lose at a power cut what was not synced.</summary>
internal sealed unsafe class SimulatedStorage : ILogStorage, IDisposable
{
    private readonly Dictionary<string, Block> _files = new(StringComparer.Ordinal);
    private readonly List<Block> _blocks = [];
    private object? _holder;

    public string Location => "simulated";

    public int Calls { get; private set; }

    /// <summary>The call of this number (from 1) fails, once unless <see cref="KeepsFailing"/>.</summary>
    public int FailAt { get; set; }

    /// <summary>All calls behind the one that fails fail too, until <see cref="FailAt"/> is 0 again.</summary>
    public bool KeepsFailing { get; set; }

    public LogFault FailWith { get; set; } = LogFault.Storage;
    public long Capacity { get; set; } = long.MaxValue;
    public int OpenMappings { get; private set; }
    public long Rewritten { get; set; }

    /// <summary>The writer is killed after so many bytes of the next store of many at once.</summary>
    public int? KillsStoreAfter { get; set; }

    /// <summary>Where writers have said that they will store, and that they have left.</summary>
    public List<(string What, long From, long To)> Hints { get; } = [];

    /// <summary>Called after each call, for races that need another thread's step just there.</summary>
    public Action<string>? After { get; set; }

    /// <summary>All but the mark of the boot.</summary>
    public IEnumerable<string> Names => _files.Keys.Where(static n => n != "boot").Order(StringComparer.Ordinal);

    public Span<byte> this[string name] => new(_files[name].Pointer, (int)_files[name].Length);

    public IDisposable Lock()
    {
        lock (_files)
        {
            Step("lock");
            if (_holder is not null) throw new LogException(LogFault.InUse, "simulated is in use");
            var hold = new Hold(this);
            _holder = hold;
            return hold;
        }
    }

    /// <summary>The writer's process is gone: its lock and mappings are too.</summary>
    public void Kill()
    {
        _holder = null;
        OpenMappings = 0;
    }

    /// <summary>Each unsynced page is lost or not, as the dice fall.</summary>
    public void CutPower(Random dice)
    {
        Kill();
        foreach (var block in _blocks)
            for (long page = 0; page < block.Length; page += 4096)
            {
                int length = (int)Math.Min(4096, block.Length - page);
                var now = new Span<byte>(block.Pointer + page, length);
                var durable = block.Durable.AsSpan((int)page, length);
                if (dice.Next(2) == 0) durable.CopyTo(now);
                else now.CopyTo(durable);
            }
    }

    public IReadOnlyList<string> List()
    {
        lock (_files)
        {
            Step("list");
            return [.. _files.Keys];
        }
    }

    public SegmentMemory Create(string name, long bytes)
    {
        lock (_files)
        {
            Step("create");
            if (_files.Values.Sum(f => f.Length) + bytes > Capacity) throw new LogException(LogFault.DiskFull, $"no room for {name}");
            return Map(_files[name] = NewBlock(bytes));
        }
    }

    public SegmentMemory? Open(string name, bool writable)
    {
        lock (_files)
        {
            Step("open");
            return _files.TryGetValue(name, out var block) ? Map(block) : null;
        }
    }

    public void Rename(string from, string to)
    {
        lock (_files)
        {
            Step("rename");
            if (!_files.Remove(from, out var block)) throw new LogException(LogFault.Storage, $"no {from}");
            _files[to] = block;
        }
        After?.Invoke("rename");
    }

    public void Delete(string name)
    {
        lock (_files)
        {
            Step("delete");
            _files.Remove(name);
        }
        After?.Invoke("delete");
    }

    public void SyncDirectory()
    {
        lock (_files) Step("sync directory");
    }

    /// <summary>Puts a file there, behind the back of the log.</summary>
    public void Put(string name, ReadOnlySpan<byte> bytes)
    {
        lock (_files)
        {
            var block = _files[name] = NewBlock(bytes.Length);
            bytes.CopyTo(new Span<byte>(block.Pointer, bytes.Length));
        }
    }

    public void Remove(string name) => _files.Remove(name);

    public void Dispose()
    {
        foreach (var block in _blocks) NativeMemory.AlignedFree(block.Pointer);
        _blocks.Clear();
        _files.Clear();
    }

    private Block NewBlock(long bytes)
    {
        var block = new Block((byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 8), 4096), bytes, new byte[bytes]);
        new Span<byte>(block.Pointer, (int)bytes).Clear();
        _blocks.Add(block);
        return block;
    }

    private Memory Map(Block block)
    {
        OpenMappings++;
        return new Memory(this, block);
    }

    private void Step(string what)
    {
        if (++Calls == FailAt || KeepsFailing && FailAt > 0 && Calls > FailAt) throw new LogException(FailWith, $"call {Calls} ({what}) fails");
    }

    private sealed record Block(nint Address, long Length, byte[] Durable)
    {
        public Block(byte* pointer, long length, byte[] durable)
            : this((nint)pointer, length, durable)
        {
        }

        public byte* Pointer => (byte*)Address;
    }

    private sealed class Memory : SegmentMemory
    {
        private readonly SimulatedStorage _storage;
        private readonly Block _block;
        private bool _isDisposed;

        public Memory(SimulatedStorage storage, Block block)
        {
            (_storage, _block) = (storage, block);
            Pointer = block.Pointer;
            Length = block.Length;
        }

        public override void Sync(long from, long to)
        {
            Assert(!_isDisposed);
            lock (_storage._files)
            {
                _storage.Step("sync");
                new Span<byte>(Pointer + from, (int)(to - from)).CopyTo(_block.Durable.AsSpan((int)from));
            }
        }

        public override void Rewrite(long from, long to) => _storage.Rewritten += to - from;

        public override void Prepare(long from, long to)
        {
            if (new ReadOnlySpan<byte>(Pointer + from, (int)(to - from)).ContainsAnyExcept((byte)0)) throw new InvalidOperationException("what is prepared is not empty");
            _storage.Hints.Add(("prepare", from, to));
        }

        public override void Leave(long from, long to) => _storage.Hints.Add(("leave", from, to));

        public override void Store(long at, ReadOnlySpan<byte> bytes)
        {
            if (_storage.KillsStoreAfter is not { } count)
            {
                base.Store(at, bytes);
                return;
            }
            base.Store(at, bytes[..Math.Min(count, bytes.Length)]);
            _storage.KillsStoreAfter = null;
            throw new LogException(LogFault.Storage, "killed in the midst of it");
        }

        public override void Dispose()
        {
            lock (_storage._files)
            {
                if (_isDisposed) return;
                _isDisposed = true;
                _storage.OpenMappings--;
            }
        }

        private static void Assert(bool holds)
        {
            if (!holds) throw new InvalidOperationException("sync after dispose");
        }
    }

    private sealed class Hold(SimulatedStorage storage) : IDisposable
    {
        public void Dispose()
        {
            if (storage._holder == this) storage._holder = null;
        }
    }
}
