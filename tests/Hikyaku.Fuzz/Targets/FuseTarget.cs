using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;
using Hikyaku.Fuzz.Inputs;

namespace Hikyaku.Fuzz.Targets;

/// <summary>
/// One request, damaged or not, through <see cref="FuseDispatch"/>. The file system is given only what its contract promises, the reply
/// is well-formed or absent, and nothing is read behind the request or written behind the reply.
/// </summary>
internal sealed class FuseTarget : FuzzTarget
{
    private const int ReplyBytes = 8192;

    private readonly GuardedBytes _request = new(2 << 20);
    private readonly GuardedBytes _reply = new(ReplyBytes);
    private readonly CheckingFileSystem _system = new();

    public override string Name => "fuse";

    public override int SmokeRounds => 100_000;

    public override byte[] Make(Dice dice)
    {
        var request = FuseRequests.Make(dice);
        request = dice.Mutate(request, dice.Below(4), 16 << 10);
        // A lie about the length is noticed first; the rest is met only where it is true.
        if (request.Length >= sizeof(uint) && !dice.OneIn(8))
            MemoryMarshal.Write(request, (uint)request.Length);
        return request;
    }

    public override void Run(byte[] input)
    {
        _system.Begin(new Dice(Dice.Hash(input)));
        var reply = _reply.Take(ReplyBytes);
        reply.Fill(0xAA);
        var request = _request.Hold(input).Span;
        var length = FuseDispatch.Dispatch(_system, request, reply);
        BrokenPromise.Unless(request.SequenceEqual(input), "the request is left as it was");
        if (request.Length < Unsafe.SizeOf<InHeader>())
        {
            BrokenPromise.Unless(length == 0 && _system.Calls == 0, "no answer to what is not even a header");
            return;
        }
        var asked = MemoryMarshal.Read<InHeader>(request);
        if (asked.Length != (uint)request.Length)
            BrokenPromise.Unless(_system.Calls == 0, "nothing done for a request that lies about its length");
        if (asked.Opcode is not Opcode.BatchForget)
            BrokenPromise.Unless(_system.Calls <= 1, "one operation for one request");
        if (asked.Opcode is Opcode.Forget or Opcode.BatchForget or Opcode.Interrupt || _system.Answer == FileSystem.Deferred)
        {
            BrokenPromise.Unless(length == 0, "no answer where none is due");
            return;
        }
        var header = MemoryMarshal.Read<OutHeader>(reply);
        BrokenPromise.Unless(length >= Unsafe.SizeOf<OutHeader>() && length <= reply.Length && header.Length == (uint)length, $"the length of a reply, {length}, in its header");
        BrokenPromise.Unless(header.Unique == asked.Unique, "the id of the request in its reply");
        BrokenPromise.Unless(header.Error is > -512 and <= 0, $"an error number of the kernel, not {header.Error}");
        BrokenPromise.Unless(header.Error == 0 || length == Unsafe.SizeOf<OutHeader>(), "an error without payload");
        BrokenPromise.Unless(length - Unsafe.SizeOf<OutHeader>() <= _system.PayloadMax, "no more than was asked for");
        if (_system.Calls == 1 && _system.Answer < 0)
            BrokenPromise.Unless(header.Error == _system.Answer, "the error of the operation");
        if (_system.Calls == 0)
            BrokenPromise.Unless(header.Error < 0, "no success without an operation");
    }
}
