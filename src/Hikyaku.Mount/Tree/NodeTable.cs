using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>The nodes the kernel knows: finds them by node id and by file, and frees them when nobody needs them. One thread only.</summary>
internal sealed unsafe class NodeTable
{
    public const uint Root = 1;

    private readonly MountState _state;
    private readonly Dictionary<(ulong Device, ulong Inode), uint> _byFile = [];
    private readonly Stack<uint> _free = [];
    private uint _top = Root + 1;

    // Children and handles: as long as there are any, the slot is needed to build paths.
    private int[] _pins = new int[1024];

    /// <summary>Takes over the nodes in the state.</summary>
    public NodeTable(MountState state)
    {
        _state = state;
        _top = Math.Max(_top, state.Header->NodesAllocated);
        Array.Resize(ref _pins, (int)_top + 1024);
        for (var slot = Root; slot < state.Header->NodesAllocated; slot++)
        {
            var node = state.Node(slot);
            if (node->Used == 0)
            {
                if (slot != Root)
                    _free.Push(slot);
                continue;
            }
            // Of a file that is gone and a later one with its inode number the later one is meant.
            if (node->Inode != 0
                && (!_byFile.TryGetValue((node->Device, node->Inode), out var other) || IsEarlier(state.Node(other), node)))
                _byFile[(node->Device, node->Inode)] = slot;
            if (Find(node->Parent, out var parent) is not null && slot != Root)
                _pins[parent]++;
        }
    }

    public NodeSlot* this[uint slot] => _state.Node(slot);

    public ulong IdOf(uint slot) => ((ulong)_state.Node(slot)->Generation << 32) | slot;

    /// <summary>Null, and slot 0, when there is no such node (any more).</summary>
    public NodeSlot* Find(ulong id, out uint slot)
    {
        slot = (uint)id;
        if (slot != 0 && slot < _state.Header->NodesAllocated)
        {
            var node = _state.Node(slot);
            if (node->Used != 0 && node->Generation == (uint)(id >> 32))
                return node;
        }
        slot = 0;
        return null;
    }

    /// <summary>The node of a file, or 0.</summary>
    public uint SlotOf(in Libc.Statx file) =>
        _byFile.TryGetValue((Device(file), file.Inode), out var slot) && _state.Node(slot)->Birth == Birth(file) ? slot : 0;

    /// <summary>Puts the top directory into its fixed slot; false when there is no disk space for the table.</summary>
    public bool PlantRoot(in Libc.Statx file)
    {
        if (!_state.AllocateNode(Root))
            return false;
        var root = _state.Node(Root);
        if (root->Used != 0)
            _byFile.Remove((root->Device, root->Inode));
        Fill(root, file);
        root->Generation = 0;
        root->Lookups = 1;
        root->Used = 1;
        _byFile[(root->Device, root->Inode)] = Root;
        return true;
    }

    /// <summary>The node of the file found under a name, new or known; 0 when the table or the disk is full.</summary>
    public uint Remember(in Libc.Statx file, uint parent, ReadOnlySpan<byte> name)
    {
        var slot = SlotOf(file);
        if (slot != 0)
        {
            var known = _state.Node(slot);
            known->Mode = file.Mode;
            if (slot != Root && known->Hidden == 0
                && (known->Parent != IdOf(parent) || !NodeSlot.NameOf(known).SequenceEqual(name)))
                Move(slot, parent, name, hidden: false);
            return slot;
        }
        // The inode number may have been another file's, which is gone: its node stays, but is no longer found by file.
        slot = Take();
        if (slot == 0)
            return 0;
        var node = _state.Node(slot);
        Fill(node, file);
        node->Generation++;
        node->Lookups = 0;
        node->Parent = 0;
        _state.Move(slot, IdOf(parent), name, hidden: false);
        _pins[parent]++;
        Volatile.Write(ref node->Used, 1);
        _byFile[(node->Device, node->Inode)] = slot;
        return slot;
    }

    /// <summary>Gives the node another name.</summary>
    public void Move(uint slot, uint parent, ReadOnlySpan<byte> name, bool hidden)
    {
        Find(_state.Node(slot)->Parent, out var before);
        _pins[parent]++;
        _state.Move(slot, IdOf(parent), name, hidden);
        if (before != 0)
            Unpin(before);
    }

    /// <summary>The node's name is gone. If the file is gone as well, a later file may have its inode number.</summary>
    public void Detach(uint slot, bool fileIsGone)
    {
        var node = _state.Node(slot);
        Find(node->Parent, out var before);
        node->Parent = 0;
        node->Hidden = 0;
        if (fileIsGone)
            Disown(slot);
        if (before != 0)
            Unpin(before);
    }

    /// <summary>The node that bears this name, or 0. Looks at all of them.</summary>
    public uint SlotOf(ulong parent, ReadOnlySpan<byte> name)
    {
        for (var slot = Root + 1; slot < _state.Header->NodesAllocated; slot++)
        {
            var node = _state.Node(slot);
            if (node->Used != 0 && node->Parent == parent && node->Hidden == 0 && NodeSlot.NameOf(node).SequenceEqual(name))
                return slot;
        }
        return 0;
    }

    public void Pin(uint slot) => _pins[slot]++;

    public void Unpin(uint slot)
    {
        _pins[slot]--;
        FreeIfUnused(slot);
    }

    /// <summary>The kernel gives back entries.</summary>
    public void Forget(ulong id, ulong lookups)
    {
        var node = Find(id, out var slot);
        if (node is null)
            return;
        node->Lookups -= Math.Min(lookups, node->Lookups);
        FreeIfUnused(slot);
    }

    // And then the directories above it that nobody else needs.
    private void FreeIfUnused(uint slot)
    {
        while (slot > Root && _state.Node(slot) is var node && node->Used != 0 && node->Lookups == 0 && _pins[slot] <= 0)
        {
            Find(node->Parent, out var parent);
            Disown(slot);
            Volatile.Write(ref node->Used, 0);
            _free.Push(slot);
            Freed?.Invoke(slot);
            if (parent != 0)
                _pins[parent]--;
            slot = parent;
        }
    }

    /// <summary>Called with the slot of a node that is no more.</summary>
    public Action<uint>? Freed { get; set; }

    public static ulong Device(in Libc.Statx file) => ((ulong)file.DeviceMajor << 32) | file.DeviceMinor;

    private static long Birth(in Libc.Statx file) => file.Birth.UnixNanoseconds;

    private static bool IsEarlier(NodeSlot* node, NodeSlot* other) =>
        node->Birth != other->Birth ? node->Birth < other->Birth : node->Parent == 0;

    private static void Fill(NodeSlot* node, in Libc.Statx file)
    {
        node->Device = Device(file);
        node->Inode = file.Inode;
        node->Birth = Birth(file);
        node->Size = (long)file.Size;
        node->Modified = file.Modify.UnixNanoseconds;
        node->Changed = file.Change.UnixNanoseconds;
        node->Touched = 0;
        node->LastSequence = 0;
        node->Emptied = 0;
        node->Mode = file.Mode;
    }

    private void Disown(uint slot)
    {
        var node = _state.Node(slot);
        if (_byFile.TryGetValue((node->Device, node->Inode), out var owner) && owner == slot)
            _byFile.Remove((node->Device, node->Inode));
    }

    private uint Take()
    {
        if (!_free.TryPop(out var slot))
        {
            if (!_state.AllocateNode(_top))
                return 0;
            slot = _top++;
        }
        if (_pins.Length <= slot)
            Array.Resize(ref _pins, _pins.Length * 2);
        _pins[slot] = 0;
        return slot;
    }
}
