using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Hikyaku.Fuse;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Requests as the kernel writes them, with fields of any value.</summary>
internal static class FuseRequests
{
    private static readonly Opcode[] Opcodes = Enum.GetValues<Opcode>();

    public static byte[] Make(Dice dice)
    {
        var opcode = dice.OneIn(20) ? (Opcode)dice.Below(60) : dice.Pick(Opcodes);
        return Of(opcode, dice.Number(), dice.Number(), Body(opcode, dice));
    }

    public static byte[] Of(Opcode opcode, ulong unique, ulong node, params byte[][] body)
    {
        var length = Unsafe.SizeOf<InHeader>() + body.Sum(part => part.Length);
        return [.. Bytes(new InHeader { Length = (uint)length, Opcode = opcode, Unique = unique, NodeId = node, Pid = 1 }), .. body.SelectMany(part => part)];
    }

    public static byte[] Bytes<T>(in T value)
        where T : unmanaged
    {
        var bytes = new byte[Unsafe.SizeOf<T>()];
        MemoryMarshal.Write(bytes, value);
        return bytes;
    }

    public static byte[] Name(ReadOnlySpan<byte> name) => [.. name, 0];

    private static byte[][] Body(Opcode opcode, Dice dice)
    {
        switch (opcode)
        {
            case Opcode.Lookup or Opcode.Unlink or Opcode.RmDir or Opcode.RemoveXAttr:
                return [AnyName(dice)];
            case Opcode.Symlink:
                return [AnyName(dice), AnyName(dice)];
            case Opcode.MkNod:
                return [Any<MkNodIn>(dice), AnyName(dice)];
            case Opcode.MkDir:
                return [Any<MkDirIn>(dice), AnyName(dice)];
            case Opcode.Create:
                return [Any<CreateIn>(dice), AnyName(dice)];
            case Opcode.Link:
                return [Any<LinkIn>(dice), AnyName(dice)];
            case Opcode.Rename:
                return [Any<RenameIn>(dice), AnyName(dice), AnyName(dice)];
            case Opcode.Rename2:
                return [Any<Rename2In>(dice), AnyName(dice), AnyName(dice)];
            case Opcode.Write:
                var data = dice.Bytes(dice.Below(300));
                return [Bytes(new WriteIn { Handle = dice.Number(), Offset = dice.Number(), Size = (uint)data.Length }), data];
            case Opcode.SetXAttr:
                var value = dice.Bytes(dice.Below(100));
                return [Bytes(new SetXAttrIn { Size = (uint)value.Length }), AnyName(dice), value];
            case Opcode.GetXAttr:
                return [Any<GetXAttrIn>(dice), AnyName(dice)];
            case Opcode.BatchForget:
                var count = dice.Below(5);
                return [Bytes(new BatchForgetIn { Count = (uint)(count + dice.Below(2)) }), dice.Bytes(count * Unsafe.SizeOf<ForgetOne>())];
            default:
                return [Arguments(opcode, dice)];
        }
    }

    private static byte[] Arguments(Opcode opcode, Dice dice) => opcode switch
    {
        Opcode.Forget or Opcode.Interrupt => Any<ForgetIn>(dice),
        Opcode.GetAttr => Any<GetAttrIn>(dice),
        Opcode.SetAttr => Any<SetAttrIn>(dice),
        Opcode.Open or Opcode.OpenDir => Any<OpenIn>(dice),
        Opcode.Read or Opcode.ReadDir => Any<ReadIn>(dice),
        Opcode.Release or Opcode.ReleaseDir => Any<ReleaseIn>(dice),
        Opcode.FSync or Opcode.FSyncDir => Any<FSyncIn>(dice),
        Opcode.Flush => Any<FlushIn>(dice),
        Opcode.ListXAttr => Any<GetXAttrIn>(dice),
        Opcode.Access => Any<AccessIn>(dice),
        Opcode.FAllocate => Any<FAllocateIn>(dice),
        Opcode.LSeek => Any<LSeekIn>(dice),
        Opcode.Init => Any<InitIn>(dice),
        _ => dice.Bytes(dice.OneIn(3) ? dice.Below(100) : 0),
    };

    private static byte[] Any<T>(Dice dice)
        where T : unmanaged
    {
        var bytes = new byte[Unsafe.SizeOf<T>()];
        foreach (ref var word in MemoryMarshal.Cast<byte, uint>(bytes.AsSpan()))
            word = (uint)dice.Number();
        return bytes;
    }

    private static byte[] AnyName(Dice dice)
    {
        byte[] name = dice.Below(8) switch
        {
            0 => ".."u8.ToArray(),
            1 => "."u8.ToArray(),
            2 => "a/b"u8.ToArray(),
            3 => dice.Bytes(dice.Pick([254, 255, 256, 4095, 4096])),
            4 => [],
            _ => [.. "name"u8, .. dice.Bytes(dice.Below(4))],
        };
        return dice.OneIn(8) ? name : Name(name);
    }
}
