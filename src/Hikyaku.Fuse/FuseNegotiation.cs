using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Hikyaku.Fuse;

/// <summary>
/// What kernel and file system agreed on when the mount was made. INIT comes once in the life of a mount, so a successor process
/// is told the result (<see cref="ToString"/>, <see cref="Parse"/>) and does not negotiate again.
/// </summary>
/// <param name="Minor">Protocol 7.Minor, the lower of both sides'.</param>
/// <param name="Flags">Asked for and offered.</param>
/// <param name="MaxWrite">The most bytes one WRITE carries.</param>
/// <param name="MaxPages">The most pages of 4096 bytes one READ or WRITE touches.</param>
public sealed record FuseNegotiation(uint Minor, InitFlags Flags, int MaxWrite, int MaxPages)
{
    private const uint Major = 7;
    private const uint OurMinor = 45;

    // Linux 4.20: the first with max_pages, and with every struct in the size we know.
    private const uint OldestMinor = 28;

    private const int PageBytes = 4096;
    private const uint MaxReadahead = 128 * 1024;

    // Writes to an unaligned buffer need one page more than their bytes fill.
    private const int WantedPages = 256;
    private const int PagesWithoutFlag = 32;

    // No writeback cache and no local locks: a write must be ours at once. No NO_OPEN: handles tell the sources apart.
    // No ATOMIC_O_TRUNC: only a SETATTR of its own keeps writers out while a file is emptied.
    private const InitFlags Wanted = InitFlags.AsyncRead | InitFlags.BigWrites | InitFlags.AsyncDirectIO
        | InitFlags.ParallelDirOps | InitFlags.AbortError | InitFlags.MaxPages | InitFlags.HandleKillPrivV2 | InitFlags.InitExt
        | InitFlags.DirectIOAllowMmap | InitFlags.HasResend;

    /// <summary>False on kernels before 6.9: a killed process then leaves its callers hanging until the connection is aborted.</summary>
    public bool CanResend => Flags.HasFlag(InitFlags.HasResend);

    /// <summary>Whether files may be passed through (<see cref="FuseDevice.OpenBacking"/>): it was asked for, and the kernel is 6.9 or newer.</summary>
    public bool CanPassThrough => Flags.HasFlag(InitFlags.Passthrough);

    /// <summary>Room that reading a request needs.</summary>
    public int RequestBytes => MaxWrite + PageBytes;

    /// <summary>Room that the longest reply needs.</summary>
    public int ReplyBytes => (MaxPages * PageBytes) + PageBytes;

    /// <summary>Reads the kernel's INIT, the first request after mounting, and answers it.</summary>
    /// <param name="device">The device it was mounted with.</param>
    /// <param name="passesThrough">Ask for passthrough.</param>
    /// <exception cref="FuseException">The kernel's protocol is too old, the mount is gone already, or this was not INIT.</exception>
    public static unsafe FuseNegotiation Answer(FuseDevice device, bool passesThrough = false)
    {
        using var buffer = new FuseBuffer((WantedPages * PageBytes) + PageBytes);
        Span<byte> reply = stackalloc byte[Unsafe.SizeOf<InitOut>()];
        while (true)
        {
            var read = device.Read(buffer.Pointer, buffer.Length, out var length);
            if (read != FuseReadResult.Request)
                throw new FuseException(FuseFailure.Protocol, $"the mount was gone before it began ({read})");
            var bytes = new ReadOnlySpan<byte>(buffer.Pointer, length);
            var (negotiation, init) = Agree(bytes, passesThrough);
            MemoryMarshal.Write(reply, init);
            device.Reply(new FuseRequest(bytes).RawUnique, reply);
            if (negotiation is not null)
                return negotiation;
        }
    }

    /// <summary>The other way of <see cref="ToString"/>.</summary>
    public static FuseNegotiation Parse(string text)
    {
        var parts = text.Split(',');
        if (parts.Length == 4
            && uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var minor)
            && ulong.TryParse(parts[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var flags)
            && int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var maxWrite)
            && int.TryParse(parts[3], NumberStyles.None, CultureInfo.InvariantCulture, out var maxPages)
            && maxWrite is >= PageBytes and <= (1 << 24) && maxPages is > 0 and <= ushort.MaxValue)
            return new FuseNegotiation(minor, (InitFlags)flags, maxWrite, maxPages);
        throw new FormatException($"'{text}' is not the outcome of a FUSE negotiation (minor,flags,max_write,max_pages)");
    }

    /// <summary>A short text without blanks, fit for an argument of a command line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Minor},{(ulong)Flags:x},{MaxWrite},{MaxPages}");

    /// <summary>The answer to one INIT; no negotiation when the kernel speaks a newer major and has to ask again in ours.</summary>
    internal static (FuseNegotiation? Negotiation, InitOut Reply) Agree(ReadOnlySpan<byte> bytes, bool passesThrough = false)
    {
        // Kernels before 5.17 end the arguments after the first flags word.
        const int shortest = 16;
        if (bytes.Length < Unsafe.SizeOf<InHeader>() + shortest || new FuseRequest(bytes).Opcode != Opcode.Init)
            throw new FuseException(FuseFailure.Protocol, "the kernel's first request is not INIT; is the device already in use?");
        Span<byte> padded = stackalloc byte[Unsafe.SizeOf<InitIn>()];
        var body = bytes[Unsafe.SizeOf<InHeader>()..];
        body[..Math.Min(body.Length, padded.Length)].CopyTo(padded);
        var asked = MemoryMarshal.Read<InitIn>(padded);
        if (asked.Major > Major)
            return (null, new InitOut { Major = Major, Minor = OurMinor });
        if (asked.Major < Major || asked.Minor < OldestMinor)
            throw new FuseException(FuseFailure.Protocol,
                $"the kernel speaks FUSE {asked.Major}.{asked.Minor}; {Major}.{OldestMinor} (Linux 4.20) or newer is needed");

        var offered = (InitFlags)asked.Flags;
        if (offered.HasFlag(InitFlags.InitExt))
            offered |= (InitFlags)((ulong)asked.Flags2 << 32);
        var flags = offered & (passesThrough ? Wanted | InitFlags.Passthrough : Wanted);
        var pages = flags.HasFlag(InitFlags.MaxPages) ? WantedPages : PagesWithoutFlag;
        var agreed = new FuseNegotiation(Math.Min(asked.Minor, OurMinor), flags, (pages - 1) * PageBytes, pages);
        return (agreed, new InitOut
        {
            Major = Major,
            Minor = agreed.Minor,
            MaxReadahead = Math.Min(asked.MaxReadahead, MaxReadahead),
            Flags = (uint)flags,
            Flags2 = (uint)((ulong)flags >> 32),
            MaxBackground = 64,
            CongestionThreshold = 48,
            MaxWrite = (uint)agreed.MaxWrite,
            TimeGranularity = 1,
            MaxPages = (ushort)pages,
            MaxStackDepth = agreed.CanPassThrough ? 1u : 0,
        });
    }
}
