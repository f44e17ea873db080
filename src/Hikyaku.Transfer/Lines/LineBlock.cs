namespace Hikyaku.Transfer.Lines;

/// <summary>
/// Lines of one source that came at the same time, as they follow each other. Nearly all work is done per block, so that a program
/// that writes many lines at once has them carried for little more than the copying of their bytes.
/// </summary>
public readonly ref struct LineBlock(LineSource source, long time, ReadOnlySpan<byte> text, int count = 1)
{
    /// <summary>The most bytes of a block of several lines.</summary>
    public const int BytesMax = Forward.EntryWriter.BlockBytesMax;

    // What an output puts around each line may be many times longer than the line.
    private const int LinesMax = 8192;

    /// <summary>Where they come from.</summary>
    public LineSource Source { get; } = source;

    /// <summary>Unix time in ns of the write that completed them.</summary>
    public long Time { get; } = time;

    /// <summary>The lines with LF between them, without one at the end. A single line may itself have LF in it, if another program than Hikyaku sent it.</summary>
    public ReadOnlySpan<byte> Text { get; } = text;

    /// <summary>How many lines.</summary>
    public int Count { get; } = count;

    /// <summary>
    /// How many bytes of <paramref name="data"/> are whole lines that make one block, the last LF included; 0: not even the first
    /// line ends within <paramref name="bytesMax"/>. The same bytes give the same block, if it is not beyond that bound.
    /// </summary>
    public static int Measure(ReadOnlySpan<byte> data, long bytesMax, out int count)
    {
        var length = Measure(data[..Math.Min(data.Length, BytesMax)], out count);
        return length <= bytesMax ? length : Measure(data[..(int)bytesMax], out count);
    }

    private static int Measure(ReadOnlySpan<byte> data, out int count)
    {
        for (var window = data.Length; ; window /= 2)
        {
            var length = data[..window].LastIndexOf((byte)'\n') + 1;
            count = data[..length].Count((byte)'\n');
            if (count <= LinesMax)
                return length;
        }
    }

    /// <summary>
    /// Takes off the front of <paramref name="text"/>, which is so many lines with LF between them, as many as make one block, and
    /// no more than <paramref name="linesMax"/>.
    /// </summary>
    public static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> text, int lines, long linesMax, out int count)
    {
        var block = text;
        count = lines;
        if (lines == 1 || (lines <= Math.Min(linesMax, LinesMax) && text.Length <= BytesMax))
        {
            text = default;
            return block;
        }

        var length = Measure(text, BytesMax, out count);
        if (count == 0 || count > linesMax)
        {
            count = 1;
            return TakeLine(ref text);
        }

        text = text[length..];
        return block[..(length - 1)];
    }

    /// <summary>Takes the first line of several off the front of <paramref name="text"/>.</summary>
    public static ReadOnlySpan<byte> TakeLine(ref ReadOnlySpan<byte> text)
    {
        var end = text.IndexOf((byte)'\n');
        var line = end < 0 ? text : text[..end];
        text = end < 0 ? default : text[(end + 1)..];
        return line;
    }
}
