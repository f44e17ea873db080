using System.Runtime.InteropServices;

namespace Hikyaku.Simulation;

/// <summary>One file: what processes see, and what a power cut would leave of it.</summary>
internal sealed unsafe class Inode(ulong number) : IDisposable
{
    private const int PageBytes = 4096;
    private byte* _bytes;
    private long _capacity;
    private byte[] _durable = [];
    private byte[] _forgotten = [];
    private bool[] _isForgotten = [];
    private long _durableLength;

    public ulong Number => number;
    public long Length { get; private set; }

    /// <summary>Allocated ahead.</summary>
    public long Reserved { get; set; }

    /// <summary>Stays where it is as long as the length does.</summary>
    public byte* Pointer => _bytes;

    public ReadOnlySpan<byte> Content => new(_bytes, (int)Length);

    public void Write(ReadOnlySpan<byte> source, long at)
    {
        SetLength(Math.Max(Length, at + source.Length));
        source.CopyTo(new Span<byte>(_bytes + at, source.Length));
        Rewrite(at, at + source.Length);
    }

    public int Read(Span<byte> target, long at)
    {
        var count = (int)Math.Clamp(Length - at, 0, target.Length);
        new ReadOnlySpan<byte>(_bytes + at, count).CopyTo(target);
        return count;
    }

    public void SetLength(long length)
    {
        if (length > _capacity)
        {
            var capacity = Math.Max(length, Math.Min(_capacity * 2, _capacity + (1 << 20)));
            _bytes = (byte*)NativeMemory.AlignedRealloc(_bytes, (nuint)capacity, 64);
            new Span<byte>(_bytes + _capacity, (int)(capacity - _capacity)).Clear();
            _capacity = capacity;
        }

        if (length < Length)
            new Span<byte>(_bytes + length, (int)(Length - length)).Clear();
        Length = length;
    }

    public void Sync() => Sync(0, Length);

    /// <summary>These bytes, and the length.</summary>
    public void Sync(long from, long to)
    {
        if (_durable.Length < Length)
            Array.Resize(ref _durable, (int)_capacity);
        _durableLength = Length;
        for (var at = from; at < to; at += PageBytes)
        {
            var page = new ReadOnlySpan<byte>(_bytes + at, (int)Math.Min(PageBytes, to - at));
            var number = at / PageBytes;
            if (number < _isForgotten.Length && _isForgotten[number] && at + page.Length <= _forgotten.Length && page.SequenceEqual(_forgotten.AsSpan((int)at, page.Length)))
                continue;
            page.CopyTo(_durable.AsSpan((int)at));
            if (number < _isForgotten.Length)
                _isForgotten[number] = false;
        }

    }

    /// <summary>The kernel could not write, forgets what it had to, and will not try it again.</summary>
    public void FailSync()
    {
        _forgotten = Content.ToArray();
        _isForgotten = new bool[(_forgotten.Length + PageBytes - 1) / PageBytes];
        Array.Fill(_isForgotten, true);
    }

    /// <summary>Makes pages dirty again, whatever is stored there.</summary>
    public void Rewrite(long from, long to)
    {
        for (var page = from / PageBytes; page * PageBytes < to && page < _isForgotten.Length; page++)
            _isForgotten[page] = false;
    }

    public void CutPower(Random dice)
    {
        var length = dice.Next(2) == 0 ? Length : _durableLength;
        Array.Resize(ref _durable, (int)Math.Max(_capacity, _durable.Length));
        for (long at = 0; at < length; at += PageBytes / 2)
        {
            var half = (int)Math.Min(PageBytes / 2, length - at);
            var now = new Span<byte>(_bytes + at, half);
            var durable = _durable.AsSpan((int)at, half);
            if (at >= _durableLength)
                durable.Clear();
            if (now.SequenceEqual(durable))
                continue;
            if (dice.Next(2) == 0)
                durable.CopyTo(now);
            else
                now.CopyTo(durable);
        }

        SetLength(length);
        _isForgotten = [];
        Sync();
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_bytes);
        _bytes = null;
    }
}
