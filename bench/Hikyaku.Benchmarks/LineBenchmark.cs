namespace Hikyaku.Benchmarks;

/// <summary>
/// One stretch of a line's way, done for <see cref="Lines"/> lines per run. The same body is measured by BenchmarkDotNet, by
/// <see cref="AllocationCheck"/> and by the tests.
/// </summary>
public abstract class LineBenchmark : IDisposable
{
    /// <summary>Lines per run.</summary>
    public const int Lines = 1000;

    /// <summary>Bytes of a write of many lines.</summary>
    protected const int BlockBytes = 64 << 10;

    /// <summary>Bytes of a line, its line end included.</summary>
    public virtual int Bytes { get; set; } = 128;

    /// <summary>Makes everything a run needs.</summary>
    public abstract void Setup();

    /// <summary>Does the work once for each of <see cref="Lines"/> lines.</summary>
    public abstract void Run();

    public abstract void Dispose();

    /// <summary>So many bytes of lines as one write of a buffered program holds.</summary>
    protected byte[] Block()
    {
        var line = Line();
        var block = new byte[(BlockBytes / line.Length) * line.Length];
        for (var at = 0; at < block.Length; at += line.Length)
            line.CopyTo(block, at);
        return block;
    }

    /// <summary>A line as a web server would write it, cut or filled to <see cref="Bytes"/>.</summary>
    protected byte[] Line()
    {
        var line = new byte[Bytes];
        var text = "192.0.2.17 - - [22/Nov/2025:04:37:58 +0000] \"GET /index.html?user=17 HTTP/1.1\" 200 5316 \"-\" \"Mozilla/5.0 (X11; Linux)\" "u8;
        for (var i = 0; i < line.Length; i++)
            line[i] = text[i % text.Length];
        line[^1] = (byte)'\n';
        return line;
    }
}
