namespace Hikyaku.Transfer.Lines;

/// <summary>
/// Makes lines of what one open file was given in pieces. A line ends at LF; the bytes before it are kept as they are
/// (CR, NUL and invalid UTF-8 included). What follows the last LF waits as the tail for the next write or the close.
/// </summary>
public sealed class LineAssembler
{
    /// <summary>A longer line is carried in pieces of this many bytes, so that one endless line cannot take all memory.</summary>
    public const int LineBytesMax = 4 << 20;

    private const int ShrinkBytes = 64 << 10;

    private byte[] _tail = [];
    private int _length;

    public ReadOnlySpan<byte> Tail => _tail.AsSpan(0, _length);

    /// <summary>Number of lines that were cut because they are longer than <see cref="LineBytesMax"/>.</summary>
    public long Cut { get; private set; }

    /// <summary>
    /// Takes complete lines off the front of <paramref name="data"/>, as many as make one block of at most <paramref name="bytesMax"/>
    /// bytes, but at least one. False: what was left became the tail. The lines are valid until the next call.
    /// </summary>
    public bool TryNext(ref ReadOnlySpan<byte> data, long bytesMax, out ReadOnlySpan<byte> lines, out int count)
    {
        count = 1;
        var length = _length > 0 ? 0 : LineBlock.Measure(data, bytesMax, out count);
        if (length == 0)
        {
            // An unfinished line that ends here, or one longer than a block.
            count = 1;
            return TryNext(ref data, out lines);
        }

        lines = data[..(length - 1)];
        data = data[length..];
        return true;
    }

    /// <summary>
    /// Takes the next complete line off the front of <paramref name="data"/>. False: what was left of it became the tail.
    /// The line is valid until the next call.
    /// </summary>
    public bool TryNext(ref ReadOnlySpan<byte> data, out ReadOnlySpan<byte> line)
    {
        if (data.IsEmpty)
        {
            line = default;
            return false;
        }

        var end = data.IndexOf((byte)'\n');
        var take = end < 0 ? data.Length : end;
        if (_length + take > LineBytesMax)
        {
            take = LineBytesMax - _length;
            Keep(data[..take]);
            data = data[take..];
            line = TakeTail();
            Cut++;
            return true;
        }

        if (end < 0)
        {
            Keep(data);
            data = default;
            line = default;
            return false;
        }

        if (_length == 0)
        {
            line = data[..end];
        }
        else
        {
            Keep(data[..end]);
            line = TakeTail();
        }

        data = data[(end + 1)..];
        return true;
    }

    /// <summary>Ends the unfinished line, if there is one: at a close.</summary>
    public bool TryEnd(out ReadOnlySpan<byte> line)
    {
        var any = _length > 0;
        line = any ? TakeTail() : default;
        return any;
    }

    /// <summary>Puts back a tail saved with a cursor.</summary>
    public void Restore(ReadOnlySpan<byte> tail)
    {
        _length = 0;
        Keep(tail);
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        // One long line is no reason to hold its memory while the file stays open.
        if (_length == 0 && _tail.Length > ShrinkBytes && bytes.Length < ShrinkBytes)
            _tail = [];
        if (_length + bytes.Length > _tail.Length)
            Array.Resize(ref _tail, Math.Max(_length + bytes.Length, Math.Min(LineBytesMax, Math.Max(256, _tail.Length * 2))));
        bytes.CopyTo(_tail.AsSpan(_length));
        _length += bytes.Length;
    }

    private ReadOnlySpan<byte> TakeTail()
    {
        var line = _tail.AsSpan(0, _length);
        _length = 0;
        return line;
    }
}
