namespace Hikyaku.Transfer.Lines;

/// <summary>
/// Where a line comes from: host, path, process and user. One instance per distinct combination while it is in use, so that
/// packers and formatters compare sources by reference.
/// </summary>
public sealed class LineSource(byte[] host, byte[] path, uint pid, uint uid, bool isMessage = false)
{
    public byte[] Host { get; } = host;

    /// <summary>The path as opened, relative to the mount it was written in.</summary>
    public byte[] Path { get; } = path;

    public uint Pid { get; } = pid;
    public uint Uid { get; } = uid;

    /// <summary>What comes of it are no lines, but what was written at once, byte for byte: nothing is put behind it.</summary>
    public bool IsMessage { get; } = isMessage;

    /// <summary>The last component of the path.</summary>
    public ReadOnlySpan<byte> File => Path.AsSpan(Path.AsSpan().LastIndexOf((byte)'/') + 1);
}
