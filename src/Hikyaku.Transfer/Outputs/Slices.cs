using System.IO.Compression;
using Hikyaku.Log;
using Hikyaku.Transfer.Plugins;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Compresses slices of time that are finished, and removes the oldest. A thread of its own with the lowest priority, which takes the
/// turn of a pump only to put a compressed slice in the place of the plain one.
/// </summary>
/// <remarks>
/// The compressed slice is made beside the plain one under a hidden name, with what an earlier one has in front. Then the plain one gets a
/// second, hidden name; while both hidden files are there nothing has happened, and when only that name is there the compressed slice has been renamed into its
/// place, and what has the same inode is in it. Each step is on the disk before the next.
/// </remarks>
internal sealed class Slices : IDisposable
{
    private const int BlockBytes = 256 << 10;
    private static readonly TimeSpan TurnTime = TimeSpan.FromMilliseconds(10);

    private readonly SliceSettings _settings;
    private readonly string _path;
    private readonly SlicePattern _pattern;
    private readonly FileGate _gate;
    private readonly Disk _disk = Disk.OfThisMachine;
    private readonly TimeProvider _time;
    private readonly Action<string> _report;
    private readonly PluginBell _bell = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HashSet<string> _problems = new(StringComparer.Ordinal);
    private volatile bool _isStopping;
    private long _compressed;
    private long _removed;

    public Slices(string path, SliceSettings settings, FileGate gate, TimeZoneInfo zone, TimeProvider time, Action<string> report)
    {
        _path = path;
        _settings = settings;
        _pattern = new SlicePattern(path, zone);
        _gate = gate;
        _time = time;
        _report = report;
    }

    /// <summary>Slices that were compressed, or of which a later part was.</summary>
    public long Compressed => Volatile.Read(ref _compressed);

    /// <summary>Slices that were removed.</summary>
    public long Removed => Volatile.Read(ref _removed);

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        new Thread(Run) { IsBackground = true, Name = "slices" }.Start();
        await using (cancel.UnsafeRegister(static slices => ((Slices)slices!).Stop(), this))
            await _ended.Task;
        Dispose();
    }

    public void Dispose() => _bell.Dispose();

    private void Stop()
    {
        _isStopping = true;
        _bell.Ring();
    }

    private void Run()
    {
        // Of this thread alone.
        _ = Libc.SetPriority(0, 0, 19);
        while (!_isStopping)
        {
            Tend();
            if (!_isStopping)
                _bell.Wait(_settings.Interval);
        }

        _ended.SetResult();
    }

    private void Tend()
    {
        var left = new List<string>();
        var slices = _pattern.Find(left.Add).OrderBy(static s => s.Start).ThenBy(static s => s.Path, StringComparer.Ordinal).ToList();
        foreach (var plain in left.Distinct(StringComparer.Ordinal))
            Try(plain, () => Recover(plain));
        var total = slices.Sum(static s => s.Length);
        var now = _time.GetUtcNow();
        foreach (var slice in slices)
        {
            if (_isStopping)
                return;
            if (now < slice.End + _settings.Grace || now < slice.LastWrite + _settings.Grace)
                continue;
            var isOld = _settings.Age is { } age && slice.End < now - age;
            if (isOld || total > _settings.Bytes)
            {
                Try(slice.Path, () =>
                {
                    if (!Remove(slice))
                        return;
                    total -= slice.Length;
                    Volatile.Write(ref _removed, _removed + 1);
                    _report($"{slice.Path}: removed, {(isOld ? "older than retain.age" : "all slices together being larger than retain.size")}");
                });
            }
            else if (_settings.Compress && !slice.IsCompressed)
            {
                Try(slice.Path, () =>
                {
                    if (Compress(slice))
                        Volatile.Write(ref _compressed, _compressed + 1);
                });
            }
        }
    }

    // Once for each change of mind.
    private void Try(string path, Action action)
    {
        try
        {
            action();
            _problems.Remove(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (_problems.Add(path))
                _report($"{path}: {e.Message}; trying again every {_settings.Interval.TotalSeconds:0} s");
        }
    }

    private bool Remove(Slice slice)
    {
        if (slice.IsCompressed)
        {
            File.Delete(slice.Path);
            return true;
        }

        return TakeTurn(() =>
        {
            if (!IsUnchanged(slice))
                return false;
            File.Delete(slice.Path);
            return true;
        });
    }

    private bool Compress(Slice slice)
    {
        var (folder, name) = (Path.GetDirectoryName(slice.Path)!, Path.GetFileName(slice.Path));
        var work = Path.Join(folder, SlicePattern.WorkPrefix + name);
        var second = Path.Join(folder, SlicePattern.SecondPrefix + name);
        var target = slice.Path + SlicePattern.CompressedSuffix;
        if (!Recover(slice.Path) || !MakeCompressed(slice, target, work))
            return false;
        _disk.SyncDirectory(folder);
        if (Libc.Link(slice.Path, second) != 0)
            throw new IOException($"cannot have a second name (errno {Libc.Error})");
        _disk.SyncDirectory(folder);
        var isDone = TakeTurn(() =>
        {
            if (!IsUnchanged(slice) || !_disk.TryStat(second, out var inode, out _) || !_disk.TryStat(slice.Path, out var same, out _) || inode != same)
                return false;
            _disk.Rename(work, target);
            _disk.SyncDirectory(folder);
            File.Delete(slice.Path);
            return true;
        });
        if (isDone)
            _disk.SyncDirectory(folder);
        RemoveNames(folder, second, work);
        return isDone;
    }

    // In this order, on the disk too: the second name alone would mean that it is compressed.
    private void RemoveNames(string folder, string second, string work)
    {
        File.Delete(second);
        _disk.SyncDirectory(folder);
        File.Delete(work);
    }

    // False: what was left of an earlier life is still there.
    private bool Recover(string plain)
    {
        var folder = Path.GetDirectoryName(plain)!;
        var second = Path.Join(folder, SlicePattern.SecondPrefix + Path.GetFileName(plain));
        var work = Path.Join(folder, SlicePattern.WorkPrefix + Path.GetFileName(plain));
        if (_disk.TryStat(second, out var inode, out _) && !_disk.TryStat(work, out _, out _))
        {
            var isDone = TakeTurn(() =>
            {
                if (_disk.TryStat(plain, out var same, out _) && inode == same)
                    File.Delete(plain);
                return true;
            });
            if (!isDone)
                return false;
            _disk.SyncDirectory(folder);
        }

        RemoveNames(folder, second, work);
        return true;
    }

    private bool MakeCompressed(Slice slice, string target, string work)
    {
        using (var writing = new FileStream(work, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = File.GetUnixFileMode(slice.Path) }))
        {
            if (File.Exists(target))
            {
                using var earlier = File.OpenRead(target);
                if (earlier.ReadByte() != 0x1f || earlier.ReadByte() != 0x8b)
                    throw new IOException($"{target} is there and is not gzip");
                earlier.Position = 0;
                if (!Copy(earlier, writing))
                    return false;
            }

            using (var plain = new FileStream(slice.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
            using (var gzip = new GZipStream(writing, CompressionLevel.Optimal, leaveOpen: true))
            {
                if (!Copy(plain, gzip) || plain.Position != slice.Length)
                    return false;
            }

            writing.Flush(flushToDisk: true);
        }

        File.SetLastWriteTimeUtc(work, slice.LastWrite.UtcDateTime);
        return true;
    }

    private bool Copy(Stream from, Stream to)
    {
        var block = new byte[BlockBytes];
        for (int count; (count = from.Read(block)) > 0;)
        {
            if (_isStopping)
                return false;
            to.Write(block.AsSpan(0, count));
        }

        return true;
    }

    private bool IsUnchanged(Slice slice) =>
        new FileInfo(slice.Path) is { Exists: true } now && now.Length == slice.Length && now.LastWriteTimeUtc == slice.LastWrite.UtcDateTime;

    // Between chunks: what the journals hold of a file is done then.
    private bool TakeTurn(Func<bool> action)
    {
        while (!_gate.TryEnter(this))
        {
            if (_isStopping)
                return false;
            _bell.Wait(TurnTime);
        }

        try
        {
            return action();
        }
        finally
        {
            _gate.Exit(this);
        }
    }
}
