using Hikyaku.Log;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// Reads the files that extents lie in, as <see cref="BackingFile"/> says. Keeps the live ones open that were read last; their
/// descriptors stay right whatever happens to their names.
/// </summary>
internal sealed class BackingFiles(Disk disk, string directory) : IDisposable
{
    private const int OpenMax = 64;

    private sealed class Live(DiskFile? file)
    {
        public DiskFile? File { get; } = file;
        public long Used { get; set; }

        /// <summary>Where the bytes of this generation would stand if the file was cut.</summary>
        public string SavedPath { get; set; } = "";

        /// <summary>The generation of <see cref="SavedPath"/>.</summary>
        public ulong Generation { get; set; }

        public bool IsSaved { get; set; }
    }

    public Disk Disk { get; } = disk;

    private readonly Dictionary<ulong, Live> _live = [];
    private long _uses;

    /// <summary>
    /// Reads bytes of the extent from <paramref name="from"/> on, counted from its beginning. Fewer than asked for: nobody has the
    /// rest. Throws IOException.
    /// </summary>
    public int Read(in ExtentRecord extent, long from, Span<byte> target)
    {
        var at = (long)extent.From + from;
        var live = Find(extent.File);
        live.Used = ++_uses;
        if (live.SavedPath.Length == 0 || live.Generation != extent.Generation)
        {
            live.Generation = extent.Generation;
            live.SavedPath = Path.Combine(directory, BackingFile.SavedName(extent.File, extent.Generation));
            live.IsSaved = false;
        }

        var got = live.IsSaved ? 0 : live.File?.Read(target, at) ?? 0;
        // Whether these bytes were of the right generation is known only now.
        using var saved = Disk.Open(live.SavedPath, Opening.Existing);
        live.IsSaved |= saved is not null;
        return saved?.Read(target, at) ?? got;
    }

    /// <summary>Lets go of one file.</summary>
    public void Close(ulong number)
    {
        if (_live.Remove(number, out var live))
            live.File?.Dispose();
    }

    public void Dispose()
    {
        foreach (var live in _live.Values)
            live.File?.Dispose();
        _live.Clear();
    }

    private Live Find(ulong number)
    {
        if (_live.TryGetValue(number, out var live))
            return live;
        if (_live.Count == OpenMax)
            Close(_live.MinBy(static l => l.Value.Used).Key);
        live = new Live(Disk.Open(Path.Combine(directory, BackingFile.LiveName(number)), Opening.Existing));
        if (live.File is not null)
            _live.Add(number, live);
        return live;
    }
}
