namespace Hikyaku.Transfer.Lines;

/// <summary>
/// Where a line comes from: host, path, process and user. One instance per distinct combination while it is in use, so that
/// packers and formatters compare sources by reference.
/// </summary>
public sealed class LineSource(byte[] host, byte[] path, uint pid, uint uid)
{
    public byte[] Host { get; } = host;

    /// <summary>The path as opened, relative to the mount it was written in.</summary>
    public byte[] Path { get; } = path;

    public uint Pid { get; } = pid;
    public uint Uid { get; } = uid;

    /// <summary>The last component of the path.</summary>
    public ReadOnlySpan<byte> File => Path.AsSpan(Path.AsSpan().LastIndexOf((byte)'/') + 1);
}

/// <summary>One line without its line end. <see cref="Time"/> is unix time in ns of the write that completed it.</summary>
public readonly ref struct Line(LineSource source, long time, ReadOnlySpan<byte> text)
{
    public LineSource Source { get; } = source;
    public long Time { get; } = time;
    public ReadOnlySpan<byte> Text { get; } = text;
}
