using System.Text;

namespace Hikyaku.Forward;

/// <summary>Foreign bytes made fit for a message to people.</summary>
internal static class Printable
{
    private const int LengthMax = 64;

    /// <summary>The beginning of <paramref name="bytes"/>, with everything but printable ASCII as \xNN.</summary>
    public static string Text(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        foreach (var value in bytes[..Math.Min(bytes.Length, LengthMax)])
        {
            if (value is >= 0x20 and < 0x7f)
                text.Append((char)value);
            else
                text.Append("\\x").Append(value.ToString("x2"));
        }
        return bytes.Length > LengthMax ? text.Append("...").ToString() : text.ToString();
    }
}
