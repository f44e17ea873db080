using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Appends formatted lines to one file, or to one file per source. Exactly once: the journal holds each file's length before
/// a chunk, formatting is deterministic, so after a crash the file itself tells how much of the repetition is there already.
/// </summary>
internal sealed class FileOutput : Output
{
    public const int OpenFilesMax = 256;
    private const int SourcesMax = 16_384;
    private static readonly TimeSpan RetryTime = TimeSpan.FromSeconds(1);

    private readonly FileOutputSettings _settings;
    private readonly string _pump;
    private readonly FileGate _gate;
    private readonly Disk _disk;
    private readonly LineFormat _format;
    private readonly TimeProvider _time;
    private readonly Action<string> _report;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, FileTarget> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<LineSource, FileTarget> _bySource = [];
    private readonly FileTarget? _unified;
    private readonly FileChunk _chunk;
    private readonly bool _sync;
    private bool _busy;
    private bool _ended;
    private Task _retry = Task.CompletedTask;
    private string _problem = "";
    private long _lines;
    private long _bytes;
    private long _repeats;

    /// <param name="pump">The name of the pump it serves, with its log's.</param>
    /// <param name="gate">Shared by all outputs with the same path.</param>
    /// <param name="sync">A file is written through to the disk before it is closed.</param>
    public FileOutput(FileOutputSettings settings, string pump, FileGate gate, Disk disk, bool sync, TimeZoneInfo zone, TimeProvider time, Action<string> report)
    {
        _settings = settings;
        _pump = pump;
        _gate = gate;
        _disk = disk;
        _sync = sync;
        _format = new LineFormat(settings.Format, settings.Time, zone);
        _time = time;
        _report = report;
        _chunk = new FileChunk(this);
        if (!settings.Path.Contains('{', StringComparison.Ordinal))
            _unified = Target(settings.Path);
        gate.Expect(pump);
        gate.Join(this);
    }

    public override Chunk? TryBegin(ReadOnlySpan<byte> note)
    {
        if (_busy)
            return null;
        _busy = true;
        _chunk.Begin(note);
        return _chunk;
    }

    public override void Deliver(Chunk chunk, ulong lowest)
    {
        if (!TryWrite())
        {
            _retry = RetryAsync(_stop.Token);
            _retry.CrashOnBug();
        }
    }

    public override void EndRepeating()
    {
        _ended = true;
        // A repetition that waits for room keeps the others out until it is whole.
        if (!_busy)
            _gate.EndRepeating(_pump);
    }

    public override void Free(Chunk chunk)
    {
        _lines += chunk.Lines;
        _bytes += chunk.Bytes;
        _busy = false;
        _gate.Exit(this);
        if (_ended)
            _gate.EndRepeating(_pump);
        if (_targets.Count > OpenFilesMax || _bySource.Count > SourcesMax)
            CloseAll();
    }

    public override void Sync()
    {
        foreach (var target in _targets.Values)
            target.Sync();
    }

    public override IReadOnlyList<ReceiverStatus> Status() =>
        [new ReceiverStatus(_settings.Path, _problem.Length == 0, _problem, _lines, _bytes, _busy ? 1 : 0, _repeats)];

    public override async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _retry;
        try
        {
            CloseAll();
        }
        finally
        {
            _gate.Leave(this);
            _stop.Dispose();
        }
    }

    private void CloseAll()
    {
        foreach (var target in _targets.Values)
            target.Close();
        _bySource.Clear();
        _targets.Clear();
        if (_unified is not null)
            _targets[_unified.Name] = _unified;
    }

    private bool TryWrite()
    {
        try
        {
            foreach (var part in _chunk.Parts)
                part.Write(this);
        }
        catch (IOException e)
        {
            Blame(e);
            return false;
        }

        if (_problem.Length > 0)
            _report($"{_settings.Path}: writing again");
        _problem = "";
        _chunk.Done = true;
        Changed();
        return true;
    }

    private async Task RetryAsync(CancellationToken cancel)
    {
        do
        {
            try
            {
                await Task.Delay(RetryTime, _time, cancel);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
        while (!TryWrite());
    }

    private void Blame(Exception e)
    {
        if (!string.Equals(_problem, e.Message, StringComparison.Ordinal))
            _report($"{e.Message}; nothing is lost, trying again every second: free space or permission is needed");
        _problem = e.Message;
    }

    private FileTarget TargetOf(LineSource source)
    {
        if (_unified is not null)
            return _unified;
        if (_bySource.TryGetValue(source, out var target))
            return target;
        return _bySource[source] = Target(PathTemplate.Expand(_settings.Path, source));
    }

    private FileTarget Target(string name)
    {
        if (!_targets.TryGetValue(name, out var target))
            _targets[name] = target = new FileTarget(Encoding.UTF8.GetBytes(name), _disk, _sync);
        return target;
    }

    // Where lines go whose own file cannot be: a path through a file, a name that is too long.
    private FileTarget Misplaced()
    {
        var fixedPart = _settings.Path[.._settings.Path.IndexOf('{', StringComparison.Ordinal)];
        return Target(Path.Combine(Path.GetDirectoryName(fixedPart + "x") ?? "/", "misplaced.log"));
    }

    /// <summary>The lines of one chunk for one file, and where that file ended before them.</summary>
    private sealed class Part
    {
        private int _written;

        public FileTarget Target { get; private set; } = null!;
        public ByteBuffer Bytes { get; } = new();
        public ulong Inode { get; private set; }
        public long Before { get; private set; }

        // After a restart: the file may hold the first bytes of this part already.
        private bool _repeated;

        public void Begin(FileTarget target)
        {
            Target = target;
            Bytes.Clear();
            Inode = 0;
            Before = 0;
            _repeated = false;
            _written = 0;
        }

        public void Repeat(ulong inode, long before)
        {
            Inode = inode;
            Before = before;
            _repeated = true;
        }

        /// <summary>Notes where the file ends. Throws IOException while that cannot be found out.</summary>
        public void Locate(FileOutput output)
        {
            if (_repeated)
                return;
            try
            {
                Target.Refresh();
            }
            catch (MisplacedException e) when (output._unified is null)
            {
                var misplaced = output.Misplaced();
                output._report($"{e.Message}; its lines go to {misplaced.Name}");
                Target = misplaced;
                Target.Refresh();
            }

            Inode = Target.Inode;
            Before = Target.Length;
        }

        public void Write(FileOutput output)
        {
            if (_repeated)
            {
                _written = Found(output);
                _repeated = false;
                if (_written > 0)
                    output._repeats++;
            }

            Target.Refresh();
            var start = Target.Length;
            try
            {
                Target.Append(Bytes.Written[_written..]);
            }
            finally
            {
                _written += (int)(Target.Length - start);
            }
        }

        // Bytes of this part that an earlier life of this process wrote: into the file it had noted, and, if that was moved
        // away in between, into the one that took its place.
        private int Found(FileOutput output)
        {
            var name = FindNoted(output._disk);
            var found = name is null ? 0 : Match(name, Before, 0, output);
            if (string.Equals(name, Target.Name, StringComparison.Ordinal))
                return found;
            found += Match(Target.Name, 0, found, output);
            if (name is null)
                output._report($"{Target.Name}: was moved away or removed while this program was not running; up to {Bytes.Length - found} bytes may stand in it twice");
            return found;
        }

        private int Match(string name, long from, int skip, FileOutput output)
        {
            using var file = output._disk.Open(name, Opening.Existing);
            if (file is null)
                return 0;
            var expected = Bytes.Written[skip..];
            var there = new byte[expected.Length];
            var count = file.Read(there, from);
            if (expected[..count].SequenceEqual(there.AsSpan(0, count)))
                return count;
            if (skip == 0 && from > 0)
                output._report($"{name}: somebody else wrote to it at byte {from}; up to {expected.Length} bytes may stand in it twice");
            return 0;
        }

        private string? FindNoted(Disk disk)
        {
            if (disk.TryStat(Target.Name, out var inode, out _) && inode == Inode)
                return Target.Name;
            // Renamed by a rotation in between: it still has its inode.
            var directory = Path.GetDirectoryName(Target.Name);
            return directory is null ? null : disk.List(directory).FirstOrDefault(f => disk.TryStat(f, out var other, out _) && other == Inode);
        }
    }

    private sealed class FileChunk(FileOutput output) : Chunk
    {
        private const int PackedBytes = 1 << 20;
        private const int OverfullBytes = 8 << 20;

        private readonly List<Part> _parts = [];
        private readonly Dictionary<FileTarget, Part> _byTarget = [];
        private readonly Stack<Part> _spare = new();
        private readonly Dictionary<string, (ulong Inode, long Length)> _journaled = new(StringComparer.Ordinal);
        private Part? _last;
        private LineSource? _lastSource;
        private long _packed;

        public IReadOnlyList<Part> Parts => _parts;

        public override bool IsFull => _packed >= PackedBytes;

        public override bool IsOverfull => _packed >= OverfullBytes;

        public void Begin(ReadOnlySpan<byte> note)
        {
            Reset();
            _packed = 0;
            _last = null;
            _lastSource = null;
            foreach (var part in _parts)
            {
                if (part.Bytes.Length <= OverfullBytes && _spare.Count < OpenFilesMax)
                    _spare.Push(part);
            }

            _parts.Clear();
            _byTarget.Clear();
            _journaled.Clear();
            var reader = new MessagePackReader(note);
            while (!reader.AtEnd && reader.Read(out var path) == ReadResult.Success && reader.Read(out var inode) == ReadResult.Success
                && reader.Read(out var length) == ReadResult.Success)
                _journaled[Encoding.UTF8.GetString(path.Payload)] = (inode.Number, (long)length.Number);
        }

        public override bool TryWriteNote(ByteBuffer target)
        {
            if (!output._gate.TryEnter(output))
                return false;
            try
            {
                foreach (var part in _parts)
                {
                    part.Locate(output);
                    MessagePackWriter.WriteBinary(target, part.Target.Path);
                    MessagePackWriter.WriteUnsigned(target, part.Inode);
                    MessagePackWriter.WriteUnsigned(target, (ulong)part.Before);
                    if (_parts.Count > OpenFilesMax)
                        part.Target.Close();
                }

                return true;
            }
            catch (IOException e)
            {
                output.Blame(e);
                // Nothing has changed for anybody: a pulse would only wake this pump again at once.
                output._gate.Exit(output, pulse: false);
                return false;
            }
        }

        protected override void Pack(in Line line)
        {
            var part = ReferenceEquals(line.Source, _lastSource) ? _last! : PartOf(line.Source);
            var before = part.Bytes.Length;
            output._format.Write(part.Bytes, line);
            _packed += part.Bytes.Length - before;
        }

        private Part PartOf(LineSource source)
        {
            var target = output.TargetOf(source);
            if (_journaled.Count > 0 && !_journaled.ContainsKey(target.Name) && output._unified is null)
                target = output.Misplaced(); // the only other place the journaled attempt can have chosen
            if (!_byTarget.TryGetValue(target, out var part))
            {
                part = _spare.TryPop(out var spare) ? spare : new Part();
                part.Begin(target);
                _byTarget.Add(target, part);
                _parts.Add(part);
                if (_journaled.TryGetValue(target.Name, out var at))
                    part.Repeat(at.Inode, at.Length);
            }

            _lastSource = source;
            return _last = part;
        }
    }
}
