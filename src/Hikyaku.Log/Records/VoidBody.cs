using System.Runtime.InteropServices;

namespace Hikyaku.Log;

/// <summary>The body of a Void record: the sequence of the record behind it, then zeros up to the end of the damage.</summary>
internal static class VoidBody
{
    public static bool TryParse(ReadOnlySpan<byte> body, out ulong next) => MemoryMarshal.TryRead(body, out next);
}
