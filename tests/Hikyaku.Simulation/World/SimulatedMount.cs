using System.Text;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;

namespace Hikyaku.Simulation;

/// <summary>One write(2) or close(2) that waits for its answer, as the kernel keeps it over the death of the mount process.</summary>
internal sealed class MountRequest(ulong id, string path, ulong handle, byte[]? data, Action<bool, ulong> answer)
{
    public ulong Id => id;
    public string Path => path;
    public ulong Handle => handle;

    /// <summary>Null: the close.</summary>
    public byte[]? Data => data;

    /// <summary>False: no space. The sequence of the record otherwise.</summary>
    public Action<bool, ulong> Answer => answer;
}

/// <summary>
/// The intake of an agent: the production log, written as the mount writes it. The kernel's part is played too: requests without
/// an answer come again to the next process, which recognises those it finds in the log. Bypassed, programs write to files
/// and the log gets what these grow by.
/// </summary>
internal sealed class SimulatedMount(Machine machine, Scheduler scheduler, LogOptions options, CommitLevel level, bool isBypassed)
{
    public const string Name = "web";
    private const string Directory = "/state/logs/" + Name;

    private readonly List<MountRequest> _waiting = [];
    private readonly HashSet<string> _stated = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ulong> _sources = new(StringComparer.Ordinal);
    private readonly Dictionary<string, BypassedFile> _bypassed = new(StringComparer.Ordinal);
    private readonly byte[] _head = new byte[256];
    private readonly List<LogTail> _tails = [];
    private LogWriter? _log;
    private Guid _identity;
    private string? _appending;
    private ulong _lastRequest;
    private ulong _lastHandle;

    public SimulatedProcess? Process { get; private set; }
    public CommitLevel Level => level;
    public long Quota => options.QuotaBytes;

    /// <summary>Every record below it was on the disk at the last power cut, if it was cut.</summary>
    public ulong Committed { get; private set; }

    /// <summary>Called at a power cut: whoever writes is gone too.</summary>
    public event Action? PowerLost;

    public ulong NewHandle() => ++_lastHandle;

    public LogTail Tail(SimulatedProcess reader)
    {
        var tail = new LogTail();
        _tails.Add(tail);
        reader.Died += () => _tails.Remove(tail);
        return tail;
    }

    public void Write(string path, ulong handle, byte[] data, Action<bool, ulong> answer)
    {
        if (!isBypassed)
        {
            Ask(new MountRequest(++_lastRequest, path, handle, data, answer));
            return;
        }

        if (!_bypassed.TryGetValue(path, out var file))
            _bypassed[path] = file = new BypassedFile(machine.Disk, (ulong)_bypassed.Count + 1, path);
        file.Handle = handle;
        // Which record will carry it is not known yet; without losses of power nobody asks.
        answer(file.TryWrite(data), 1);
    }

    public void Close(string path, ulong handle, Action<bool, ulong> answer) => Ask(new MountRequest(++_lastRequest, path, handle, null, answer));

    public void LosePower()
    {
        _waiting.Clear();
        PowerLost?.Invoke();
    }

    public void Start()
    {
        if (machine.IsOff || Process is { IsAlive: true })
            return;
        var process = Process = new SimulatedProcess(scheduler, machine.Name + "/mount");
        process.Died += () =>
        {
            _log = null;
            scheduler.After(TimeSpan.FromMilliseconds(scheduler.Dice.Next(5, 500)), null, Start);
        };
        process.Start(() => RunAsync(process), failure =>
        {
            if (failure is not IOException)
                scheduler.Fail(failure ?? new InvalidOperationException("the mount ended"));
            process.Kill();
        });
    }

    private async Task RunAsync(SimulatedProcess process)
    {
        var disk = new ProcessDisk(machine.Disk, process);
        var storage = disk.Log(Directory);
        var log = LogWriter.Open(storage, options with { Cursors = Transfer.TransferProcess.Cursors(machine.Settings().Routes, Name), Disk = disk, TimeProvider = machine.Time, Report = machine.Report });
        _stated.Clear();
        _sources.Clear();
        _appending = null;
        foreach (var file in _bypassed.Values)
            file.Recover();
        var done = Recall(storage);
        log.SegmentOpened = _ =>
        {
            _stated.Clear();
            if (_appending is not { } path)
                return;
            State(path);
            _appending = path;
        };
        _log = log;
        // A log that was lost with the power before any of it was committed has begun anew, and its numbers with it; one of which all
        // that was committed had been retired may have gone back.
        Committed = log.Identity == _identity ? Math.Min(Math.Max(Committed, log.CommittedSequence), log.NextSequence) : log.CommittedSequence;
        _identity = log.Identity;
        if (level == CommitLevel.Strict && !TryCommit())
            throw new IOException("cannot be committed");
        foreach (var request in _waiting.ToArray())
        {
            if (done.TryGetValue(request.Id, out var sequence))
                Answer(request, true, sequence);
        }

        Serve();
        var period = level == CommitLevel.Interval ? TimeSpan.FromMilliseconds(10) : TimeSpan.FromMilliseconds(500);
        using var timer = new PeriodicTimer(period, machine.Time);
        while (await timer.WaitForNextTickAsync())
        {
            if (level == CommitLevel.Interval)
                TryCommit();
            log.Retire();
            log.Prepare();
            Follow(disk);
            Serve();
        }
    }

    private void Ask(MountRequest request)
    {
        _waiting.Add(request);
        if (Process is { IsAlive: true } process && _log is not null)
            scheduler.Add(scheduler.Dice.Next(100), process, _ => Serve(), null);
    }

    private void Serve()
    {
        if (_log is null)
            return;
        foreach (var request in _waiting.ToArray())
        {
            if (!_waiting.Contains(request))
                continue;
            bool stored;
            ulong sequence = 0;
            try
            {
                stored = request.Data is null ? TryClose(request, out sequence) : TryWrite(request, out sequence);
            }
            catch (LogException)
            {
                // The program is told of an error, and tries again.
                stored = false;
            }

            // As long as it cannot be committed there is no answer.
            if (stored && level == CommitLevel.Strict && !TryCommit())
            {
                Process!.Kill();
                return;
            }

            Answer(request, stored, sequence);
        }

        foreach (var tail in _tails.ToArray())
            tail.Pulse();
    }

    // What files have grown by since the last look; now and then one is emptied.
    private void Follow(ProcessDisk disk)
    {
        foreach (var file in _bypassed.Values)
        {
            if (scheduler.Dice.Next(3) > 0 && TryNote(file) && file.Length > 0 && scheduler.Dice.Next(5) == 0)
                file.Cut(disk);
        }
    }

    private bool TryNote(BypassedFile file)
    {
        while (file.Noted < file.Length)
        {
            // Not always all at once, and not at the ends of lines.
            var to = scheduler.Dice.Next(2) == 0 ? file.Length : file.Noted + 1 + (ulong)scheduler.Dice.NextInt64((long)(file.Length - file.Noted));
            try
            {
                if (!State(file.Path))
                    return false;
                var length = ExtentRecord.WriteHead(_head, _sources[file.Path], file.Handle, file.Number, file.Generation, file.Noted, to, 1 + scheduler.Now * 100, 1000, 7);
                if (!TryAppend(file.Path, RecordKind.Extent, length, [], out _))
                    return false;
            }
            catch (LogException)
            {
                return false;
            }

            file.Noted = to;
        }

        return true;
    }

    private bool TryCommit()
    {
        try
        {
            _log!.Commit();
            Committed = _log.CommittedSequence;
            return true;
        }
        catch (LogException e)
        {
            machine.Report(e.Message);
            return false;
        }
    }

    private void Answer(MountRequest request, bool stored, ulong sequence)
    {
        _waiting.Remove(request);
        request.Answer(stored, sequence);
    }

    private bool TryWrite(MountRequest request, out ulong sequence)
    {
        sequence = 0;
        if (!State(request.Path))
            return false;
        var length = WriteRecord.WriteHead(_head, _sources[request.Path], request.Handle, 0, 1 + scheduler.Now * 100, request.Id, 1000, 7);
        return TryAppend(request.Path, RecordKind.Write, length, request.Data, out sequence);
    }

    private bool TryClose(MountRequest request, out ulong sequence)
    {
        sequence = 0;
        if (_bypassed.TryGetValue(request.Path, out var file) && !TryNote(file))
            return false;
        if (!State(request.Path))
            return false;
        var length = CloseRecord.WriteHead(_head, _sources[request.Path], request.Handle, 1 + scheduler.Now * 100);
        return TryAppend(request.Path, RecordKind.Close, length, [], out sequence);
    }

    private bool TryAppend(string path, RecordKind kind, int head, byte[]? data, out ulong sequence)
    {
        _appending = path;
        try
        {
            return _log!.TryAppend(kind, _head.AsSpan(0, head), data, out sequence);
        }
        finally
        {
            _appending = null;
        }
    }

    private bool State(string path)
    {
        if (_sources.TryGetValue(path, out var id) && _stated.Contains(path))
            return true;
        _appending = null;
        var bytes = Encoding.UTF8.GetBytes(path);
        var head = new byte[SourceRecord.HeadBytes];
        SourceRecord.WriteHead(head, id, bytes.Length);
        if (!_log!.TryAppend(RecordKind.Source, head, bytes, out var sequence))
            return false;
        _stated.Add(path);
        _sources[path] = id == 0 ? sequence : id;
        return true;
    }

    private void Note(ulong number, ulong generation, ulong to)
    {
        if (_bypassed.Values.FirstOrDefault(f => f.Number == number && f.Generation == generation) is { } file)
            file.Noted = Math.Max(file.Noted, to);
    }

    // The requests whose record is there; a close has none, but closing twice is closing once.
    private Dictionary<ulong, ulong> Recall(ILogStorage storage)
    {
        var found = new Dictionary<ulong, ulong>();
        using var reader = new LogReader(storage, 0);
        while (reader.TryRead(out var record))
        {
            if (record.Kind == RecordKind.Write && WriteRecord.TryParse(record.Body, out var write))
                found[write.Request] = record.Sequence;
            if (record.Kind == RecordKind.Extent && ExtentRecord.TryParse(record.Body, out var extent))
                Note(extent.File, extent.Generation, extent.To);
        }

        return found;
    }
}
