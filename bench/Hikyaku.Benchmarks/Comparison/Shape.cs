namespace Hikyaku.Benchmarks.Comparison;

/// <summary>What the writers of a run do: how many they are, the bytes of a line, how lines go into a write(2), open files of each.</summary>
internal readonly record struct Shape(int Writers, int Bytes, string Mode = Shape.Line, int Files = 1)
{
    public const string Line = "line";
    public const string Block = "block";
    public const int BlockBytes = 65536;

    // Eight digits number the lines of a writer; more bytes than this would measure the disk.
    private const long MostLines = 99_999_999;
    private const long MostBytes = 2L << 30;

    /// <summary>At least a write of each writer, at most what line numbers and the page cache hold.</summary>
    public int Limit(double lines)
    {
        var least = Writers * (Mode == Block ? Math.Max(1, BlockBytes / Bytes) : Files);
        return (int)Math.Clamp(lines, least, Math.Max(least, Math.Min(MostLines * Writers, MostBytes / Bytes)));
    }

    public override string ToString() => $"{Writers} x {Bytes} bytes{(Mode == Block ? " in blocks" : "")}{(Files > 1 ? $", {Files} files each" : "")}";
}
