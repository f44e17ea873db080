using Hikyaku.Log;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Segments in memory, each in front of a wall. Never fails and is never full.</summary>
internal sealed class GuardedStorage : ILogStorage, IDisposable
{
    private readonly Dictionary<string, Block> _files = new(StringComparer.Ordinal);
    private readonly List<Block> _blocks = [];

    public string Location => "fuzz";

    public IEnumerable<string> Names => _files.Keys.Order(StringComparer.Ordinal);

    public ReadOnlySpan<byte> this[string name] => _files[name].Bytes;

    public IDisposable Lock() => new Hold();

    public IReadOnlyList<string> List() => [.. _files.Keys];

    public SegmentMemory Create(string name, long bytes) => new Mapping(_files[name] = Add((int)bytes));

    public SegmentMemory? Open(string name, bool writable) => _files.TryGetValue(name, out var block) ? new Mapping(block) : null;

    public void Rename(string from, string to)
    {
        BrokenPromise.Unless(_files.Remove(from, out var block), $"no renaming of {from}, which is not there");
        _files[to] = block!;
    }

    public void Delete(string name) => _files.Remove(name);

    public void SyncDirectory()
    {
    }

    /// <summary>Puts a file there, behind the back of the log.</summary>
    public void Put(string name, ReadOnlySpan<byte> bytes) => bytes.CopyTo((_files[name] = Add(bytes.Length)).Bytes);

    public void Dispose()
    {
        foreach (var block in _blocks)
            block.Free();
    }

    private Block Add(int length)
    {
        var block = new Block(length);
        _blocks.Add(block);
        return block;
    }

    private sealed class Hold : IDisposable
    {
        public void Dispose()
        {
        }
    }

    private sealed unsafe class Block(int length)
    {
        // Words of eight bytes must stay whole, as in a mapped file.
        private readonly GuardedBytes _memory = Full((length + 7) & ~7);

        public byte* Pointer => _memory.Pointer;

        public int Length => length;

        public Span<byte> Bytes => new(Pointer, length);

        public void Free() => ((IDisposable)_memory).Dispose();

        private static GuardedBytes Full(int length)
        {
            var memory = new GuardedBytes(length);
            memory.Take(length);
            return memory;
        }
    }

    private sealed unsafe class Mapping : SegmentMemory
    {
        public Mapping(Block block)
        {
            Pointer = block.Pointer;
            Length = block.Length;
        }

        public override void Sync(long from, long to)
        {
        }

        public override void Rewrite(long from, long to)
        {
        }

        public override void Dispose()
        {
        }
    }
}
