using Hikyaku.Fuse;

namespace Hikyaku.Mount;

/// <summary>The open files. One thread only.</summary>
internal sealed unsafe class HandleTable
{
    private readonly MountState _state;
    private readonly NodeTable _nodes;
    private readonly Stack<uint> _free = [];
    private readonly Queue<OpenHandle> _closed = [];
    private readonly Dictionary<uint, List<OpenHandle>> _byNode = [];
    private OpenHandle?[] _handles = new OpenHandle?[64];
    private uint _top;

    public HandleTable(MountState state, NodeTable nodes)
    {
        _state = state;
        _nodes = nodes;
    }

    /// <summary>Takes over what an earlier process of this mount left.</summary>
    /// <param name="sourceOf">From path and id to the source.</param>
    public List<OpenHandle> Restore(Func<byte[], ulong, Source> sourceOf)
    {
        var restored = new List<OpenHandle>();
        for (_top = 0; _top < _state.Header->HandlesAllocated; _top++)
        {
            var state = _state.Handle(_top);
            var node = _nodes.Find(state->NodeId, out var nodeSlot);
            if (state->Use == HandleUse.Free || node is null || state->PathLength > HandleSlot.PathMax)
            {
                state->Use = HandleUse.Free;
                _free.Push(_top);
                continue;
            }
            var source = sourceOf(HandleSlot.PathOf(state).ToArray(), state->Source);
            restored.Add(Add(new OpenHandle(_top, state, nodeSlot, node, source)));
        }
        restored.Sort(static (a, b) => a.Number.CompareTo(b.Number));
        foreach (var handle in restored.Where(static handle => handle.State->Use == HandleUse.Closed).OrderBy(static handle => handle.State->ClosedAt))
        {
            Leave(handle);
            _closed.Enqueue(handle);
        }
        return restored;
    }

    /// <summary>By the number the kernel was given; null when there is no such open handle.</summary>
    public OpenHandle? Find(ulong kernelHandle)
    {
        var slot = (uint)kernelHandle;
        var handle = slot < (uint)_handles.Length ? _handles[slot] : null;
        return handle is not null && handle.KernelHandle == kernelHandle && handle.State->Use == HandleUse.Open ? handle : null;
    }

    /// <summary>All that the kernel has not released.</summary>
    public IEnumerable<OpenHandle> Open() => _handles.OfType<OpenHandle>().Where(static handle => handle.State->Use == HandleUse.Open);

    /// <summary>The handle that this request opened before the process that served it died.</summary>
    public OpenHandle? FindByRequest(ulong request)
    {
        foreach (var handle in _handles)
        {
            if (handle is not null && handle.State->Request == request && handle.State->Use == HandleUse.Open)
                return handle;
        }
        return null;
    }

    /// <summary>The open handles of a file, or null.</summary>
    public List<OpenHandle>? Of(uint nodeSlot) => _byNode.GetValueOrDefault(nodeSlot);

    /// <summary>A new handle, or null when the table or the disk is full.</summary>
    public OpenHandle? Take(uint nodeSlot, uint flags, ulong request, uint thread, uint pid, Source source, ulong kept)
    {
        FreeClosed(kept);
        if (!_free.TryPop(out var slot))
        {
            if (!_state.AllocateHandle(_top))
                return null;
            slot = _top++;
        }
        var state = _state.Handle(slot);
        state->Number = _state.Header->NextHandle++;
        state->NodeId = _nodes.IdOf(nodeSlot);
        state->Source = 0;
        state->Backing = 0;
        state->Request = request;
        state->Flags = flags;
        state->Thread = thread;
        state->Pid = pid;
        state->PathLength = (ushort)source.Path.Length;
        source.Path.CopyTo(new Span<byte>(state->Path, HandleSlot.PathMax));
        Volatile.Write(ref *(uint*)&state->Use, (uint)HandleUse.Open);
        return Add(new OpenHandle(slot, state, nodeSlot, _nodes[nodeSlot], source));
    }

    /// <summary>Released by the kernel: no longer an open handle of its file.</summary>
    public void Leave(OpenHandle handle)
    {
        if (_byNode.TryGetValue(handle.NodeIndex, out var handles) && handles.Remove(handle))
        {
            handle.Source.Handles--;
            if (handles.Count == 0)
                _byNode.Remove(handle.NodeIndex);
        }
    }

    /// <summary>Its Close is in the log; the slot is needed until the keeper is past that.</summary>
    public void Close(OpenHandle handle, ulong sequence)
    {
        handle.State->ClosedAt = sequence;
        handle.State->Use = HandleUse.Closed;
        _closed.Enqueue(handle);
    }

    /// <summary>Nothing of it is in the log that is not underneath.</summary>
    public void Free(OpenHandle handle)
    {
        Volatile.Write(ref *(uint*)&handle.State->Use, (uint)HandleUse.Free);
        _handles[handle.Slot] = null;
        _free.Push(handle.Slot);
        _nodes.Unpin(handle.NodeIndex);
    }

    public void FreeClosed(ulong kept)
    {
        while (_closed.TryPeek(out var handle) && handle.State->ClosedAt < kept)
            Free(_closed.Dequeue());
    }

    private OpenHandle Add(OpenHandle handle)
    {
        if (handle.Slot >= _handles.Length)
            Array.Resize(ref _handles, (int)Math.Max(handle.Slot + 1, _handles.Length * 2));
        _handles[handle.Slot] = handle;
        _nodes.Pin(handle.NodeIndex);
        handle.Source.Handles++;
        if (!_byNode.TryGetValue(handle.NodeIndex, out var handles))
            _byNode.Add(handle.NodeIndex, handles = []);
        handles.Add(handle);
        return handle;
    }
}
