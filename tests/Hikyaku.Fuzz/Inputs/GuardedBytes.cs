using System.Buffers;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuzz.Inputs;

/// <summary>Bytes that end where memory ends: a single byte read or written behind them kills the process.</summary>
internal sealed unsafe partial class GuardedBytes : MemoryManager<byte>
{
    private const int Page = 4096;

    private readonly nint _region;
    private readonly nint _regionBytes;
    private int _length;

    /// <param name="capacity">The most bytes it can hold.</param>
    public GuardedBytes(int capacity)
    {
        _regionBytes = ((capacity + Page - 1) / Page * Page) + Page;
        // Private, anonymous; read and write.
        _region = mmap(0, _regionBytes, 3, 0x22, -1, 0);
        if (_region == -1 || mprotect(_region + _regionBytes - Page, Page, 0) != 0)
            throw new InvalidOperationException("no memory for a guarded buffer");
    }

    public int Capacity => (int)_regionBytes - Page;

    public byte* Pointer => (byte*)(_region + _regionBytes - Page - _length);

    /// <summary>Room for so many bytes, in front of the wall; what was there stays there.</summary>
    public Span<byte> Take(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Capacity);
        _length = length;
        return GetSpan();
    }

    /// <summary>Puts a copy of the bytes in front of the wall.</summary>
    public Memory<byte> Hold(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Take(bytes.Length));
        return Memory;
    }

    public override Span<byte> GetSpan() => new(Pointer, _length);

    public override MemoryHandle Pin(int elementIndex = 0) => new(Pointer + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing) => _ = munmap(_region, _regionBytes);

    [LibraryImport("libc")]
    private static partial nint mmap(nint address, nint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc")]
    private static partial int mprotect(nint address, nint length, int protection);

    [LibraryImport("libc")]
    private static partial int munmap(nint address, nint length);
}
