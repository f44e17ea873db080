using System.Runtime.InteropServices;

namespace Hikyaku.Forward;

/// <summary>
/// Finds the end of one MessagePack value that may arrive in pieces. Each call goes on where the last one stopped, so a
/// value of any size is scanned once. It only counts the values still owed, so nesting costs neither stack nor memory.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal struct ValueScan
{
    private long owed = 1;

    public ValueScan()
    {
    }

    /// <summary>Bytes known to belong to the value; after success, its length.</summary>
    public int Length { get; private set; }

    /// <summary>
    /// Goes on over <paramref name="bytes"/>, which begin with the bytes of the call before. When they do not suffice,
    /// <paramref name="needed"/> is how many there will be at least: every value owed is a byte or more.
    /// </summary>
    public ReadResult Continue(ReadOnlySpan<byte> bytes, out long needed)
    {
        while (owed > 0)
        {
            var result = MessagePackReader.Decode(bytes[Length..], out var token, out var size);
            if (result != ReadResult.Success)
            {
                needed = Length + size + owed - 1;
                return result;
            }
            Length += (int)size;
            owed--;
            if (token.Kind == MessagePackKind.Array)
                owed += (long)token.Number;
            else if (token.Kind == MessagePackKind.Map)
                owed += 2 * (long)token.Number;
        }
        needed = Length;
        return ReadResult.Success;
    }
}
