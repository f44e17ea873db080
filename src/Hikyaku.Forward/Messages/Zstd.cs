using System.Runtime.InteropServices;

namespace Hikyaku.Forward;

/// <summary>The library of Zstandard, if this machine has it: Debian's libzstd1, any version from 1.4.0 on.</summary>
internal static unsafe class Zstd
{
    private const string Library = "libzstd.so.1";

    // What a peer's frame may make the decoder remember: 8 MiB, where the format allows for 2 GiB.
    private const int WindowParameter = 100, WindowLogMax = 23;

    private static readonly Functions? Found = Load();

    public static bool IsAvailable => Found is not null;

    public static Functions Use => Found ?? throw new ForwardException($"{Library} is missing");

    /// <summary>Appends what <paramref name="packed"/> unpacks to, at most <paramref name="limit"/> bytes. Returns what is wrong with it, or null.</summary>
    public static string? Unpack(ReadOnlySpan<byte> packed, ByteBuffer to, int limit)
    {
        var zstd = Use;
        var context = zstd.MakeDecoder();
        if (context == 0)
            return "zstd data, and there is no memory to unpack it";
        try
        {
            zstd.SetDecoder(context, WindowParameter, WindowLogMax);
            fixed (byte* source = packed)
            {
                var input = new Piece { Start = source, Length = (nuint)packed.Length };
                var before = to.Length;
                nuint left = 1;
                bool isFull;
                do
                {
                    // A byte more than the limit tells whether there is more.
                    var room = limit + 1 - (to.Length - before);
                    var span = to.GetSpan(Math.Min(room, 4096));
                    span = span[..Math.Min(room, span.Length)];
                    fixed (byte* target = span)
                    {
                        var output = new Piece { Start = target, Length = (nuint)span.Length };
                        left = zstd.Decode(context, &output, &input);
                        to.Advance((int)output.Done);
                        isFull = output.Done == output.Length;
                    }
                    if (zstd.IsError(left) != 0)
                        return "zstd data that is broken";
                    if (to.Length - before > limit)
                        return $"zstd data that unpacks to more than {limit} bytes";
                }
                while ((isFull && left != 0) || input.Done < input.Length);
                return left == 0 ? null : "zstd data that is broken off";
            }
        }
        finally
        {
            zstd.FreeDecoder(context);
        }
    }

    private static Functions? Load()
    {
        if (!NativeLibrary.TryLoad(Library, out var library))
            return null;
        return new Functions
        {
            Bound = (delegate* unmanaged<nuint, nuint>)NativeLibrary.GetExport(library, "ZSTD_compressBound"),
            IsError = (delegate* unmanaged<nuint, uint>)NativeLibrary.GetExport(library, "ZSTD_isError"),
            MakeEncoder = (delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "ZSTD_createCCtx"),
            FreeEncoder = (delegate* unmanaged<nint, nuint>)NativeLibrary.GetExport(library, "ZSTD_freeCCtx"),
            Encode = (delegate* unmanaged<nint, byte*, nuint, byte*, nuint, int, nuint>)NativeLibrary.GetExport(library, "ZSTD_compressCCtx"),
            MakeDecoder = (delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "ZSTD_createDCtx"),
            FreeDecoder = (delegate* unmanaged<nint, nuint>)NativeLibrary.GetExport(library, "ZSTD_freeDCtx"),
            SetDecoder = (delegate* unmanaged<nint, int, int, nuint>)NativeLibrary.GetExport(library, "ZSTD_DCtx_setParameter"),
            Decode = (delegate* unmanaged<nint, Piece*, Piece*, nuint>)NativeLibrary.GetExport(library, "ZSTD_decompressStream"),
        };
    }

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Piece
    {
        public byte* Start;
        public nuint Length;
        public nuint Done;
    }

    internal sealed class Functions
    {
        public required delegate* unmanaged<nuint, nuint> Bound { get; init; }
        public required delegate* unmanaged<nuint, uint> IsError { get; init; }
        public required delegate* unmanaged<nint> MakeEncoder { get; init; }
        public required delegate* unmanaged<nint, nuint> FreeEncoder { get; init; }
        public required delegate* unmanaged<nint, byte*, nuint, byte*, nuint, int, nuint> Encode { get; init; }
        public required delegate* unmanaged<nint> MakeDecoder { get; init; }
        public required delegate* unmanaged<nint, nuint> FreeDecoder { get; init; }
        public required delegate* unmanaged<nint, int, int, nuint> SetDecoder { get; init; }
        public required delegate* unmanaged<nint, Piece*, Piece*, nuint> Decode { get; init; }
    }
}

/// <summary>What the encoder keeps from one chunk to the next: some hundred kilobytes that need not be made anew.</summary>
internal sealed unsafe class ZstdContext() : SafeHandle(0, ownsHandle: true)
{
    // The fastest that is not a special one.
    private const int Level = 1;

    public override bool IsInvalid => handle == 0;

    /// <summary>Appends the bytes as one frame.</summary>
    public void Pack(ReadOnlySpan<byte> bytes, ByteBuffer to)
    {
        var zstd = Zstd.Use;
        if (IsInvalid)
            SetHandle(zstd.MakeEncoder());
        var span = to.GetSpan(checked((int)zstd.Bound((nuint)bytes.Length)));
        nuint length;
        fixed (byte* source = bytes, target = span)
            length = zstd.Encode(handle, target, (nuint)span.Length, source, (nuint)bytes.Length, Level);
        if (zstd.IsError(length) != 0)
            throw new ForwardException("zstd cannot compress: out of memory");
        to.Advance((int)length);
    }

    protected override bool ReleaseHandle() => Zstd.Use.FreeEncoder(handle) == 0;
}
