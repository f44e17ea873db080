namespace Hikyaku.Log;

/// <summary>What must be kept: the lowest position of all readers.</summary>
internal sealed class Retention(LogOptions options)
{
    private readonly HashSet<string> _reported = new(StringComparer.Ordinal);

    /// <summary>Segments wholly below this sequence are needed by nobody.</summary>
    public ulong Lowest() => Math.Min(LowestCursor(), OwnerFloor());

    /// <summary>What the owner itself still needs; never dropped.</summary>
    public ulong OwnerFloor() => options.Floor?.Invoke() ?? ulong.MaxValue;

    /// <summary>The lowest position of the cursors alone.</summary>
    public ulong LowestCursor()
    {
        var positions = Positions();
        // A reader that has not begun needs everything; and as long as nobody said who reads, somebody might.
        if (options.Cursors is null && positions.Count == 0) return 0;
        foreach (string name in options.Cursors ?? [])
            if (!positions.ContainsKey(name)) return 0;
        ulong lowest = ulong.MaxValue;
        foreach (ulong position in positions.Values) lowest = Math.Min(lowest, position);
        return lowest;
    }

    /// <summary>The highest position any reader has reached, 0 if none.</summary>
    public ulong Highest()
    {
        ulong highest = OwnerFloor() is var floor and not ulong.MaxValue ? floor : 0;
        foreach (ulong position in Positions().Values) highest = Math.Max(highest, position);
        return highest;
    }

    private Dictionary<string, ulong> Positions()
    {
        var positions = new Dictionary<string, ulong>(StringComparer.Ordinal);
        foreach (string path in Paths())
        {
            // One that cannot be read holds everything back: better a full log than a lost line.
            if (!TryRead(path, out ulong position) && IsFirstReport(path))
                options.Report?.Invoke($"The cursor {path} cannot be read; nothing is retired until its reader writes it again, or it is removed.");
            positions[Path.GetFileNameWithoutExtension(path)] = position;
        }
        return positions;
    }

    private bool TryRead(string path, out ulong position)
    {
        position = 0;
        try
        {
            return Cursor.TryRead(path, out position, options.Disk);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private IEnumerable<string> Paths()
    {
        try
        {
            return options.CursorDirectory is null ? [] : options.Disk.List(options.CursorDirectory).Where(static p => p.EndsWith(".cursor", StringComparison.Ordinal));
        }
        catch (IOException e)
        {
            throw new LogException(LogFault.Storage, $"Cannot list the cursors in {options.CursorDirectory}: {e.Message}", e);
        }
    }

    private bool IsFirstReport(string path)
    {
        lock (_reported) return _reported.Add(path);
    }
}
