using Hikyaku.Log;

namespace Hikyaku.Transfer.Delivery;

/// <summary>
/// Reads the files that extents lie in, as <see cref="BackingFile"/> says. Keeps the live ones open that were read last; their
/// descriptors stay right whatever happens to their names. Outlives the restarts of its pump.
/// </summary>
internal sealed class BackingFiles(Disk disk, string directory) : IDisposable
{
    private const int OpenMax = 64;

    // What the disk cannot read is tried so often, each time by another start of the pump; then it is lost, as damage in the log is.
    private const int TriesMax = 5;
    private const int Eio = 5;
    private const int PageBytes = 4096;

    private const string Removed = "below the mount somebody has removed or cut the file before they were carried";

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

    /// <summary>Where they are, and the mark beside the log too.</summary>
    public Disk Disk { get; } = disk;

    private readonly Dictionary<ulong, Live> _live = [];
    private readonly Dictionary<ulong, (long At, int Tries)> _unreadable = [];
    private long _uses;

    /// <summary>Why the latest <see cref="Read"/> gave less than it was asked for, for people.</summary>
    public string Loss { get; private set; } = Removed;

    /// <summary>
    /// Reads bytes of the extent from <paramref name="from"/> on, counted from its beginning. Fewer than asked for: nobody has the
    /// rest, or the disk has failed to read it again and again. Throws IOException: they may be had later.
    /// </summary>
    public int Read(in ExtentRecord extent, long from, Span<byte> target)
    {
        var at = (long)extent.From + from;
        try
        {
            var got = ReadOnce(extent, at, target);
            if (_unreadable.TryGetValue(extent.File, out var trouble) && trouble.At == at && trouble.Tries < TriesMax)
                _unreadable.Remove(extent.File);
            Loss = Removed;
            return got;
        }
        catch (IOException e) when (e.HResult == Eio)
        {
            if (!IsGivenUp(extent.File, at))
                throw;
            Loss = $"they could not be read in {TriesMax} tries: {e.Message} (errno {Eio})";
            return ReadWhatCanBe(extent, at, target);
        }
    }

    /// <summary>Lets go of one file.</summary>
    public void Close(ulong number)
    {
        _unreadable.Remove(number);
        LetGo(number);
    }

    public void Dispose()
    {
        foreach (var live in _live.Values)
            live.File?.Dispose();
        _live.Clear();
    }

    private int ReadOnce(in ExtentRecord extent, long at, Span<byte> target)
    {
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
        using var saved = Disk.Open(live.SavedPath, Opening.ExistingAmongForeign);
        live.IsSaved |= saved is not null;
        if (saved is null && live.File is null && !Disk.TryStat(directory, out _, out _))
            throw new IOException($"{directory}: the directory underneath the mount, in which lines wait, is not there");
        return saved?.Read(target, at) ?? got;
    }

    // A file with one place that was given up gets no more patience for others.
    private bool IsGivenUp(ulong number, long at)
    {
        var trouble = _unreadable.GetValueOrDefault(number);
        if (trouble.Tries < TriesMax)
            _unreadable[number] = trouble = (at, trouble.At == at ? trouble.Tries + 1 : 1);
        return trouble.Tries >= TriesMax;
    }

    // Up to the first page that fails.
    private int ReadWhatCanBe(in ExtentRecord extent, long at, Span<byte> target)
    {
        var got = 0;
        try
        {
            while (got < target.Length)
            {
                var page = target[got..Math.Min(target.Length, got + PageBytes - (int)((at + got) % PageBytes))];
                var read = ReadOnce(extent, at + got, page);
                got += read;
                if (read < page.Length)
                    break;
            }
        }
        catch (IOException e) when (e.HResult == Eio)
        {
            // This is what is lost.
        }

        return got;
    }

    private Live Find(ulong number)
    {
        if (_live.TryGetValue(number, out var live))
            return live;
        if (_live.Count == OpenMax)
            LetGo(_live.MinBy(static l => l.Value.Used).Key);
        live = new Live(Disk.Open(Path.Combine(directory, BackingFile.LiveName(number)), Opening.ExistingAmongForeign));
        if (live.File is not null)
            _live.Add(number, live);
        return live;
    }

    private void LetGo(ulong number)
    {
        if (_live.Remove(number, out var live))
            live.File?.Dispose();
    }
}
