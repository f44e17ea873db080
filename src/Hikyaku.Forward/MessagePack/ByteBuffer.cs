namespace Hikyaku.Forward;

/// <summary>A reusable byte buffer that grows up to <paramref name="maximum"/> bytes and then throws <see cref="ForwardException"/>.</summary>
public sealed class ByteBuffer(int maximum = int.MaxValue, int capacity = 256)
{
    private byte[] bytes = new byte[Math.Min(capacity, maximum)];

    /// <summary>Bytes written so far.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes of memory held.</summary>
    public int Capacity => bytes.Length;

    /// <summary>The limit in bytes.</summary>
    public int Maximum => maximum;

    /// <summary>What has been written; valid until the next write.</summary>
    public ReadOnlySpan<byte> Written => bytes.AsSpan(0, Length);

    /// <summary>What has been written; valid until the next write.</summary>
    public ReadOnlyMemory<byte> WrittenMemory => bytes.AsMemory(0, Length);

    /// <summary>Forgets the content and keeps the memory.</summary>
    public void Clear() => Length = 0;

    /// <summary>Forgets the content and, where it holds more than <paramref name="keep"/> bytes of memory, the memory too.</summary>
    public void Clear(int keep)
    {
        Length = 0;
        if (bytes.Length > keep)
            bytes = new byte[Math.Min(keep, 4096)];
    }

    /// <summary>Cuts back to an earlier <see cref="Length"/>.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)Length, nameof(length));
        Length = length;
    }

    /// <summary>Free space of at least <paramref name="count"/> bytes; it counts after <see cref="Advance"/>.</summary>
    public Span<byte> GetSpan(int count)
    {
        if (bytes.Length - Length < count)
            Grow(count);
        return bytes.AsSpan(Length);
    }

    /// <summary>Takes <paramref name="count"/> bytes of the span that <see cref="GetSpan"/> gave.</summary>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)count, (uint)(bytes.Length - Length), nameof(count));
        Length += count;
    }

    /// <summary>Appends bytes.</summary>
    public void Append(ReadOnlySpan<byte> data)
    {
        data.CopyTo(GetSpan(data.Length));
        Length += data.Length;
    }

    /// <summary>Appends one byte.</summary>
    public void Append(byte value)
    {
        GetSpan(1)[0] = value;
        Length++;
    }

    /// <summary>A place inside what was written, for lengths that are known only at the end.</summary>
    public Span<byte> At(int position, int count) => bytes.AsSpan(0, Length).Slice(position, count);

    private void Grow(int count)
    {
        var needed = (long)Length + count;
        if (needed > maximum)
            throw new ForwardException($"more than {maximum} bytes for one buffer");
        var doubled = Math.Min(Math.Max(256L, bytes.Length * 2L), Math.Min(maximum, Array.MaxLength));
        var bigger = GC.AllocateUninitializedArray<byte>((int)Math.Max(needed, doubled));
        Written.CopyTo(bigger);
        bytes = bigger;
    }
}
