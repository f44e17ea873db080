using System.Buffers;

namespace Hikyaku.Forward;

/// <summary>
/// What came over one connection and is not taken yet. Between messages it is small; within one it grows with the bytes that
/// came, not with the length that was claimed, and all of it counts against the budget.
/// </summary>
internal sealed class ReceiveBuffer(BufferBudget budget) : IDisposable
{
    private const int IdleBytes = 4 * 1024;
    private const int LeastBytes = 64 * 1024;

    // Who has sent so much before, and now the first LeastBytes of the next message, gets room for it at once, while there is plenty.
    private const int AtOnceBytesMax = 512 * 1024;

    private readonly byte[] idle = new byte[IdleBytes];
    private byte[]? rented;
    private int start;
    private int end;
    private int filled = LeastBytes;

    private byte[] Memory => rented ?? idle;

    public int Count => end - start;

    public ReadOnlyMemory<byte> Bytes => Memory.AsMemory(start, Count);

    /// <summary>Where the next bytes go; not empty after <see cref="TryMakeRoom"/>.</summary>
    public Memory<byte> Room => Memory.AsMemory(end);

    public void Add(int count) => end += count;

    public void Take(int count)
    {
        start += count;
        filled = Math.Min(Math.Max(filled, count), AtOnceBytesMax);
    }

    /// <summary>Makes room for more of a value of <paramref name="needed"/> bytes or more. False: the budget is used up.</summary>
    public bool TryMakeRoom(int needed)
    {
        var length = Memory.Length;
        if (Count == 0)
        {
            Dispose();
            start = end = 0;
        }
        else if (Count == length || (rented is null && needed > length))
        {
            var atOnce = Count >= LeastBytes && budget.IsPlenty ? Math.Min(needed, filled) : 0;
            return TryGrow((int)Math.Max(atOnce, Math.Max(LeastBytes, Math.Min(length * 2L, Math.Max(needed, length + 1L)))));
        }
        else if (start > 0 && length - end < Math.Min(needed - Count, LeastBytes))
        {
            Bytes.Span.CopyTo(Memory);
            end -= start;
            start = 0;
        }
        return true;
    }

    public void Dispose() => Replace(null);

    private bool TryGrow(int bytes)
    {
        var bigger = ArrayPool<byte>.Shared.Rent(bytes);
        if (!budget.TryTake(bigger.Length))
        {
            ArrayPool<byte>.Shared.Return(bigger);
            return false;
        }
        Bytes.Span.CopyTo(bigger);
        end -= start;
        start = 0;
        Replace(bigger);
        return true;
    }

    private void Replace(byte[]? other)
    {
        if (rented is { } left)
        {
            budget.Give(left.Length);
            ArrayPool<byte>.Shared.Return(left);
        }
        rented = other;
    }
}
