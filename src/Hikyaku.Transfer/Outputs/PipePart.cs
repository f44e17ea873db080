using Hikyaku.Forward;

namespace Hikyaku.Transfer.Outputs;

/// <summary>The lines of one chunk for one process, as it reads them.</summary>
internal sealed class PipePart(PipeChunk chunk)
{
    private const int SpareBytes = 1 << 20;

    public PipeTarget Target { get; private set; } = null!;
    public ByteBuffer Bytes { get; } = new();
    public long Lines { get; set; }

    /// <summary>From here on no process has read it.</summary>
    public int Unread { get; set; }

    /// <summary>Up to here it was written to the process that runs.</summary>
    public int Written { get; set; }

    /// <summary>How much had been written to that process before.</summary>
    public long Start { get; set; }

    public void Begin(PipeTarget target)
    {
        Target = target;
        Bytes.Clear(SpareBytes);
        Lines = 0;
        Unread = Written = 0;
        Start = 0;
    }

    /// <summary>All of it was read.</summary>
    public void Finish() => chunk.FinishOne();
}
