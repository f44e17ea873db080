using System.Collections.Concurrent;

namespace Hikyaku.Mount;

/// <summary>The files that are written past us, or were and are not delivered yet. Changed by one thread, read by any.</summary>
internal sealed unsafe class BackingTable
{
    private readonly MountState _state;
    private readonly ConcurrentDictionary<(ulong Device, ulong Inode), Backing> _byFile = [];
    private readonly ConcurrentDictionary<ulong, Backing> _byNumber = [];
    private readonly Stack<uint> _free = [];
    private uint _top;

    public BackingTable(MountState state)
    {
        _state = state;
        _top = state.Header->BackingsAllocated;
        for (var slot = 0u; slot < _top; slot++)
        {
            if (state.Backing(slot)->Used == 0)
                _free.Push(slot);
        }
    }

    public bool IsEmpty => _byNumber.IsEmpty;

    /// <summary>Enumerating allocates no copy.</summary>
    public IEnumerable<KeyValuePair<ulong, Backing>> All => _byNumber;

    public Backing? Find(ulong number) => _byNumber.GetValueOrDefault(number);

    public Backing? Of(NodeSlot* node) => IsEmpty ? null : _byFile.GetValueOrDefault((node->Device, node->Inode));

    public Backing? Of(ulong device, ulong inode) => _byFile.GetValueOrDefault((device, inode));

    public bool Has(in Libc.Statx file) => !IsEmpty && _byFile.ContainsKey((NodeTable.Device(file), file.Inode));

    /// <summary>The slots in use that no <see cref="Backing"/> stands for yet.</summary>
    public List<uint> Unclaimed()
    {
        var slots = new List<uint>();
        for (var slot = 0u; slot < _top; slot++)
        {
            if (_state.Backing(slot)->Used != 0 && !_byNumber.ContainsKey(_state.Backing(slot)->Number))
                slots.Add(slot);
        }
        return slots;
    }

    /// <summary>A slot that an earlier process filled stands for this file.</summary>
    public Backing Claim(uint slot, ulong device, ulong inode)
    {
        var backing = new Backing(slot, _state.Backing(slot), (device, inode));
        _byFile[backing.File] = backing;
        _byNumber[backing.Number] = backing;
        return backing;
    }

    /// <summary>A new one, or null when the table or the disk is full.</summary>
    public Backing? Take(ulong number, in Libc.Statx file)
    {
        if (!_free.TryPop(out var slot))
        {
            if (!_state.AllocateBacking(_top))
                return null;
            slot = _top++;
        }
        var state = _state.Backing(slot);
        *state = default;
        state->Number = number;
        Volatile.Write(ref state->Used, 1);
        return Claim(slot, NodeTable.Device(file), file.Inode);
    }

    public void Free(Backing backing)
    {
        _byFile.TryRemove(new(backing.File, backing));
        _byNumber.TryRemove(backing.Number, out _);
        Free(backing.Slot);
    }

    public void Free(uint slot)
    {
        Volatile.Write(ref _state.Backing(slot)->Used, 0);
        _free.Push(slot);
    }
}
