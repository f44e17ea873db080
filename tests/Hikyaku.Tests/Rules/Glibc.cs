using System.Runtime.InteropServices;

namespace Hikyaku.Tests.Rules;

/// <summary>The regular expressions of the C library, in the C locale.</summary>
internal sealed unsafe partial class Glibc : IDisposable
{
    private const int Extended = 1, Newline = 4;
    private const int PlacesMax = 10;

    // regex_t is 64 bytes on 64-bit Linux.
    private readonly byte* _compiled = (byte*)NativeMemory.AllocZeroed(256);
    private readonly bool _isGood;

    public Glibc(byte[] pattern) => _isGood = Compile(_compiled, [.. pattern, 0], Extended | Newline) == 0;

    public bool IsGood => _isGood;

    /// <summary>
    /// Places of the whole and of each group, or null if it does not match. The line must hold no NUL. Groups in nested repetitions may take
    /// this library exponential time.
    /// </summary>
    public int[]? Match(byte[] line, bool withGroups)
    {
        var places = new int[2 * PlacesMax];
        return Execute(_compiled, [.. line, 0], withGroups ? PlacesMax : 1, places, 0) == 0 ? places : null;
    }

    public void Dispose()
    {
        if (_isGood)
            Free(_compiled);
        NativeMemory.Free(_compiled);
    }

    [LibraryImport("libc", EntryPoint = "regcomp")]
    private static partial int Compile(byte* compiled, byte[] pattern, int flags);

    [LibraryImport("libc", EntryPoint = "regexec")]
    private static partial int Execute(byte* compiled, byte[] line, nint count, [In, Out] int[] places, int flags);

    [LibraryImport("libc", EntryPoint = "regfree")]
    private static partial void Free(byte* compiled);
}
