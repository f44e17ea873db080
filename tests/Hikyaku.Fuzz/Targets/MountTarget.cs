using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Fuse;
using Hikyaku.Fuzz.Inputs;
using Hikyaku.Log;
using Hikyaku.Mount;

namespace Hikyaku.Fuzz.Targets;

/// <summary>
/// Requests in any order, to nodes and handles that are there, gone or never were, through the mount process as it is, which is replaced
/// now and then. Every request is answered, nothing throws, and every write that was accepted is in the log once, whole and in order.
/// </summary>
internal sealed class MountTarget : FuzzTarget
{
    private static readonly string[] Names = ["a", "b.log", "c", "dir", "d2", ".hikyaku-x", "\u00e9", new string('n', 255)];

    // Root gets everywhere. Anybody else would shut himself and the mount process out of directories, and could not remove them either.
    private static readonly uint ModeAlways = Environment.IsPrivilegedProcess ? 0 : 0x1c0u;

    private static readonly Opcode[] Opcodes =
        [.. Enum.GetValues<Opcode>().Where(o => o is not (Opcode.Init or Opcode.Destroy)), Opcode.Create, Opcode.Create, Opcode.Write, Opcode.Write, Opcode.Write, Opcode.Write];

    public override string Name => "mount";

    public override int SmokeRounds => 12;

    public override byte[] Make(Dice dice) => dice.Bytes(1 + (Unsafe.SizeOf<Step>() * dice.Between(1, 120)));

    public override void Run(byte[] input)
    {
        if (input.Length == 0)
            return;
        using var mount = new MountUnderTest(input[0] % 4 == 0 ? Keep.None : Keep.All, passes: input[0] % 3 == 0);
        var kernel = new Kernel(mount);
        foreach (var step in MemoryMarshal.Cast<byte, Step>(input.AsSpan(1, (input.Length - 1) / Unsafe.SizeOf<Step>() * Unsafe.SizeOf<Step>())))
            kernel.Take(step);
        mount.Stop();
        kernel.CheckLog();
    }

    /// <summary>One request, by its parts; which node or handle is meant is a place in the list of those that were given.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private readonly struct Step
    {
        public readonly byte Operation;
        public readonly byte Node;
        public readonly byte Handle;
        public readonly byte Name;
        public readonly uint Number;
        public readonly ulong Large;
    }

    /// <summary>Remembers what the kernel would, and what was accepted.</summary>
    private sealed class Kernel(MountUnderTest mount)
    {
        private readonly List<ulong> _nodes = [FileSystem.RootNodeId, 999];
        private readonly List<ulong> _handles = [0, 12345];
        private readonly Dictionary<ulong, List<byte[]>> _accepted = [];
        private ulong _unique = 2;
        private byte[]? _last;

        public void Take(Step step)
        {
            if (step.Operation >= 250)
            {
                mount.Restart();
                // As if the answer to the last one had been lost with the process.
                if (_last is not null && step.Operation >= 252)
                {
                    MemoryMarshal.AsRef<InHeader>(_last.AsSpan()).Unique |= FuseRequest.ResentBit;
                    var (error, _) = mount.Ask(_last);
                    BrokenPromise.Unless(error == 0, $"what was done is done when it is asked for again: {MemoryMarshal.Read<InHeader>(_last).Opcode} is {error}");
                    _last = null;
                }
                return;
            }
            if (step.Operation >= 244)
            {
                mount.Grow(Names[1], (int)(step.Number % 300_000));
                return;
            }
            var opcode = Opcodes[step.Operation % Opcodes.Length];
            var node = _nodes[step.Node % _nodes.Count];
            var handle = _handles[step.Handle % _handles.Count];
            var name = FuseRequests.Name(Encoding.UTF8.GetBytes(Names[step.Name % Names.Length]));
            var other = FuseRequests.Name(Encoding.UTF8.GetBytes(Names[step.Number % Names.Length]));
            // No more than the kernel would ask for; files may be long, the disk is not.
            var offset = step.Large >> (1 + (int)(step.Number % 63));
            var data = opcode == Opcode.Write ? new Dice(step.Large).Bytes(1 + (int)(step.Number % (step.Name > 250 ? 131_072 : 300))) : [];
            byte[][] body = opcode switch
            {
                Opcode.Lookup or Opcode.Unlink or Opcode.RmDir => [name],
                Opcode.Forget => [FuseRequests.Bytes(new ForgetIn { Lookups = step.Number % 3 })],
                Opcode.BatchForget => [FuseRequests.Bytes(new BatchForgetIn { Count = 1 }), FuseRequests.Bytes(new ForgetOne { NodeId = node, Lookups = step.Number % 2 })],
                Opcode.Interrupt => [FuseRequests.Bytes(new InterruptIn { Unique = _unique - 2 })],
                Opcode.GetAttr => [FuseRequests.Bytes(default(GetAttrIn))],
                Opcode.SetAttr => [FuseRequests.Bytes(new SetAttrIn { Valid = (SetAttrValid)(step.Number & 0x7ff), Handle = handle, Size = offset, Mode = ((uint)step.Large & 0xfff) | ModeAlways, ATime = (long)offset, MTime = (long)offset, MTimeNsec = 5, Uid = step.Node, Gid = step.Name })],
                Opcode.ReadLink or Opcode.StatFs => [],
                Opcode.Symlink => [name, other],
                // Only regular files: the kernel keeps devices and pipes to itself.
                Opcode.MkNod => [FuseRequests.Bytes(new MkNodIn { Mode = 0x8000 | (step.Number & 0xfff) }), name],
                Opcode.MkDir => [FuseRequests.Bytes(new MkDirIn { Mode = (step.Number & 0x1ff) | ModeAlways }), name],
                Opcode.Rename => [FuseRequests.Bytes(new RenameIn { NewParent = _nodes[step.Handle % _nodes.Count] }), name, other],
                Opcode.Rename2 => [FuseRequests.Bytes(new Rename2In { NewParent = _nodes[step.Handle % _nodes.Count], Flags = (RenameFlags)(step.Large & 3) }), name, other],
                Opcode.Link => [FuseRequests.Bytes(new LinkIn { NodeId = _nodes[step.Handle % _nodes.Count] }), name],
                Opcode.Open or Opcode.OpenDir => [FuseRequests.Bytes(new OpenIn { Flags = OpenFlags(step) })],
                Opcode.Create => [FuseRequests.Bytes(new CreateIn { Flags = OpenFlags(step), Mode = 0x81A4 }), name],
                Opcode.Read or Opcode.ReadDir => [FuseRequests.Bytes(new ReadIn { Handle = handle, Offset = offset, Size = step.Number % 131_072 })],
                Opcode.Write => [FuseRequests.Bytes(new WriteIn { Handle = handle, Offset = offset / 2, Size = (uint)data.Length, Flags = OpenFlags(step) }), data],
                Opcode.Release or Opcode.ReleaseDir => [FuseRequests.Bytes(new ReleaseIn { Handle = handle })],
                Opcode.FSync or Opcode.FSyncDir => [FuseRequests.Bytes(new FSyncIn { Handle = handle })],
                Opcode.Flush => [FuseRequests.Bytes(new FlushIn { Handle = handle })],
                Opcode.FAllocate => [FuseRequests.Bytes(new FAllocateIn { Handle = handle, Offset = step.Number % 100_000, Length = step.Large % 100_000, Mode = step.Node & 3u })],
                Opcode.LSeek => [FuseRequests.Bytes(new LSeekIn { Handle = handle, Offset = offset, Whence = step.Node & 7u })],
                Opcode.GetXAttr => [FuseRequests.Bytes(new GetXAttrIn { Size = step.Number % 1000 }), name],
                Opcode.ListXAttr => [FuseRequests.Bytes(new GetXAttrIn { Size = step.Number % 1000 })],
                Opcode.SetXAttr => [FuseRequests.Bytes(new SetXAttrIn { Size = 3 }), name, "abc"u8.ToArray()],
                Opcode.RemoveXAttr => [name],
                Opcode.Access => [FuseRequests.Bytes(new AccessIn { Mask = step.Number & 7 })],
                _ => [],
            };
            Ask(opcode, handle, data, FuseRequests.Of(opcode, _unique, node, body));
            _unique += 2;
        }

        public void CheckLog()
        {
            var read = new Dictionary<ulong, int>();
            using var reader = new LogReader(mount.Storage, 0);
            while (reader.TryRead(out var record))
            {
                if (record.Kind != RecordKind.Write || !WriteRecord.TryParse(record.Body, out var write))
                    continue;
                // The kernel's number of a handle begins with the end of the log's.
                var handle = (ulong)(uint)write.Handle;
                var count = read.GetValueOrDefault(handle);
                BrokenPromise.Unless(
                    _accepted.TryGetValue(handle, out var expected) && count < expected.Count && write.Data.SequenceEqual(expected[count]),
                    $"record {record.Sequence} is not what was accepted as write {count + 1} of handle {handle}");
                read[handle] = count + 1;
            }
            foreach (var (handle, writes) in _accepted)
                BrokenPromise.Unless(read.GetValueOrDefault(handle) == writes.Count, $"of {writes.Count} writes accepted for handle {handle}, {read.GetValueOrDefault(handle)} are in the log");
        }

        // How it is opened, and now and then to append.
        private static uint OpenFlags(Step step) => (step.Number & 3) % 3 | (step.Node % 2 == 0 ? 0x400u : 0);

        private void Ask(Opcode opcode, ulong handle, byte[] data, byte[] request)
        {
            var (error, payload) = mount.Ask(request);
            if (opcode is Opcode.Forget or Opcode.BatchForget or Opcode.Interrupt)
                return;
            _last = null;
            if (error != 0)
                return;
            if (opcode is Opcode.Write or Opcode.Create or Opcode.MkDir or Opcode.MkNod or Opcode.Symlink or Opcode.Link or Opcode.Rename or Opcode.Unlink or Opcode.RmDir)
                _last = request;
            switch (opcode)
            {
                case Opcode.Lookup or Opcode.Symlink or Opcode.MkNod or Opcode.MkDir or Opcode.Link:
                    Note(_nodes, MemoryMarshal.Read<EntryOut>(payload).NodeId);
                    break;
                case Opcode.Create:
                    Note(_nodes, MemoryMarshal.Read<EntryOut>(payload).NodeId);
                    Note(_handles, MemoryMarshal.Read<OpenOut>(payload.AsSpan(Unsafe.SizeOf<EntryOut>())).Handle);
                    break;
                case Opcode.Open or Opcode.OpenDir:
                    Note(_handles, MemoryMarshal.Read<OpenOut>(payload).Handle);
                    break;
                case Opcode.Write:
                    BrokenPromise.Unless(MemoryMarshal.Read<WriteOut>(payload).Size == (uint)data.Length, "a write is accepted as a whole");
                    Accepted(handle >> 32).Add(data);
                    break;
                case Opcode.Read or Opcode.ReadDir:
                    BrokenPromise.Unless(payload.Length <= MemoryMarshal.Read<ReadIn>(request.AsSpan(Unsafe.SizeOf<InHeader>())).Size, "no more is read than was asked for");
                    break;
            }
        }

        private List<byte[]> Accepted(ulong handle)
        {
            if (!_accepted.TryGetValue(handle, out var writes))
                _accepted.Add(handle, writes = []);
            return writes;
        }

        private static void Note(List<ulong> known, ulong number)
        {
            if (!known.Contains(number))
                known.Add(number);
        }
    }
}
