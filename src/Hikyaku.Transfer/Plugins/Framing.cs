using System.Buffers.Text;
using Hikyaku.Forward;

namespace Hikyaku.Transfer.Plugins;

/// <summary>How a plugin tells one line from the next.</summary>
public enum Framing
{
    /// <summary>Each ends with LF.</summary>
    Line,

    /// <summary>Before each stands how many bytes it has, in decimal digits and an LF; nothing stands behind it.</summary>
    Length,
}

internal static class Frame
{
    /// <summary>The digits of a length and an LF.</summary>
    public const int HeadBytesMax = 11;

    public static void WriteHead(ByteBuffer target, int length)
    {
        var span = target.GetSpan(HeadBytesMax);
        Utf8Formatter.TryFormat(length, span, out var digits);
        span[digits] = (byte)'\n';
        target.Advance(digits + 1);
    }

    /// <summary>Takes the head off the front. False with <paramref name="length"/> 0: it is not whole yet; with -1: it is none.</summary>
    public static bool TryReadHead(ref ReadOnlySpan<byte> bytes, out int length)
    {
        length = 0;
        var end = bytes[..Math.Min(bytes.Length, HeadBytesMax)].IndexOf((byte)'\n');
        var isOne = end < 0
            ? bytes.Length < HeadBytesMax && bytes.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0
            : Utf8Parser.TryParse(bytes[..end], out length, out var used) && used == end && length >= 0;
        if (!isOne)
            length = -1;
        if (!isOne || end < 0)
            return false;
        bytes = bytes[(end + 1)..];
        return true;
    }

    /// <summary>Where the line begins in which <paramref name="at"/> stands; the end of all, if it stands there.</summary>
    public static int StartOf(ReadOnlySpan<byte> lines, int at, Framing framing)
    {
        if (at >= lines.Length)
            return lines.Length;
        if (framing == Framing.Line)
            return lines[..at].LastIndexOf((byte)'\n') + 1;
        var start = 0;
        while (true)
        {
            var rest = lines[start..];
            if (!TryReadHead(ref rest, out var length))
                return start;
            var next = lines.Length - rest.Length + length;
            if (next > at)
                return start;
            start = next;
        }
    }
}
