namespace Hikyaku.Forward;

/// <summary>Compresses entries, fast rather than small. One thread at a time.</summary>
public abstract class Compressor : IDisposable
{
    /// <summary>What it does.</summary>
    public abstract Compression Kind { get; }

    /// <summary>Its name in the options of a message.</summary>
    internal abstract ReadOnlySpan<byte> Name { get; }

    /// <summary>False: the library that this machine would need is not there.</summary>
    public static bool IsAvailable(Compression kind) => kind != Compression.Zstd || Zstd.IsAvailable;

    /// <summary>Null for none. Throws <see cref="ForwardException"/> for one that is not available.</summary>
    public static Compressor? Make(Compression kind) => kind switch
    {
        Compression.Gzip => new GzipCompressor(),
        Compression.Zstd => new ZstdCompressor(),
        _ => null,
    };

    /// <summary>Gives back what the library holds.</summary>
    public abstract void Dispose();

    /// <summary>Appends the compressed bytes.</summary>
    internal abstract void Pack(ReadOnlySpan<byte> entries, ByteBuffer to);

    private sealed class GzipCompressor : Compressor
    {
        public override Compression Kind => Compression.Gzip;

        internal override ReadOnlySpan<byte> Name => "gzip"u8;

        public override void Dispose()
        {
            // Holds nothing between two calls.
        }

        internal override void Pack(ReadOnlySpan<byte> entries, ByteBuffer to) => Gzip.Pack(entries, to);
    }

    private sealed class ZstdCompressor : Compressor
    {
        private readonly ZstdContext context = new();

        public override Compression Kind => Compression.Zstd;

        internal override ReadOnlySpan<byte> Name => "zstd"u8;

        public override void Dispose() => context.Dispose();

        internal override void Pack(ReadOnlySpan<byte> entries, ByteBuffer to) => context.Pack(entries, to);
    }
}
