using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Appends formatted lines to one file, or to one file per source, or per slice of time, or both. Exactly once: the journal holds each file's length before
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
    private readonly TimeZoneInfo _zone;
    private readonly LineFormat _format;
    private readonly byte[] _noteHead;
    private readonly TimeProvider _time;
    private readonly Action<string> _report;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, FileTarget> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<LineSource, FileTarget> _bySource = [];
    private readonly OutputPath _path;
    private readonly FileTarget? _unified;
    private readonly FileChunk _chunk;
    private readonly bool _sync;
    private readonly HashSet<ulong>? _unended;
    private string _slice = ""; // of what _bySource holds
    private bool _busy;
    private bool _isDelivering;
    private bool _ended;
    private Task _retry = Task.CompletedTask;
    private string _problem = "";
    private long _lines;
    private long _bytes;
    private long _repeats;

    /// <param name="pump">The name of the pump it serves, with its log's.</param>
    /// <param name="gate">Shared by all outputs with the same path.</param>
    /// <param name="sync">A chunk is done only when it is on the disk: the log promises that lines survive a power loss, and this is where they go on.</param>
    /// <param name="isTorn">The power was lost, and a file may end within a line: that is ended before another is added.</param>
    public FileOutput(FileOutputSettings settings, string pump, FileGate gate, Disk disk, bool sync, bool isTorn, TimeZoneInfo zone, TimeProvider time, Action<string> report)
    {
        _settings = settings;
        _pump = pump;
        _gate = gate;
        _disk = disk;
        _sync = sync;
        _unended = isTorn ? [] : null;
        _zone = zone;
        _format = new LineFormat(settings.Format, settings.Time, zone);
        _noteHead = NoteHead(settings);
        _time = time;
        _report = report;
        _chunk = new FileChunk(this);
        _path = new OutputPath(settings.Path, zone);
        if (_path.IsSingle)
            _unified = Target(settings.Path);
        gate.Expect(pump);
        gate.Join(this);
    }

    /// <summary>What looks after the slices of its path; null: nobody.</summary>
    public Slices? Slices { get; init; }

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
        // Begun it is already when nothing is in it yet.
        _isDelivering = true;
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
        _busy = _isDelivering = false;
        _gate.Exit(this);
        if (_ended)
            _gate.EndRepeating(_pump);
        if (_targets.Count > OpenFilesMax || _bySource.Count > SourcesMax)
            CloseAll();
    }

    public override IReadOnlyList<ReceiverStatus> Status() =>
        [new ReceiverStatus(_settings.Path, _problem.Length == 0, _problem, _lines, _bytes, _isDelivering ? 1 : 0, _repeats) { Compressed = Slices?.Compressed ?? 0, Removed = Slices?.Removed ?? 0 }];

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
            // A part of it may stand in the file: the next life of this pump goes first.
            if (_busy && !_chunk.Done)
                _gate.Expect(_pump);
            _gate.Leave(this);
            _stop.Dispose();
        }
    }

    private static byte[] NoteHead(FileOutputSettings settings)
    {
        var head = new ByteBuffer();
        MessagePackWriter.WriteText(head, Encoding.UTF8.GetBytes(settings.Path));
        MessagePackWriter.WriteText(head, Encoding.UTF8.GetBytes(settings.Format));
        MessagePackWriter.WriteText(head, Encoding.UTF8.GetBytes(settings.Time));
        return head.Written.ToArray();
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
            {
                part.Write(this);
                if (_chunk.Parts.Count > OpenFilesMax)
                    part.Target.Close();
            }
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

    private FileTarget TargetOf(LineSource source, OutputPath path, string slice)
    {
        if (path != _path)
            return Target(PathTemplate.Expand(slice, source));
        if (_unified is not null)
            return _unified;
        if (!ReferenceEquals(slice, _slice))
            _bySource.Clear();
        _slice = slice;
        if (_bySource.TryGetValue(source, out var target))
            return target;
        return _bySource[source] = Target(PathTemplate.Expand(slice, source));
    }

    private FileTarget Target(string name)
    {
        if (!_targets.TryGetValue(name, out var target))
            _targets[name] = target = new FileTarget(Encoding.UTF8.GetBytes(name), _disk);
        return target;
    }

    /// <summary>The lines of one chunk for one file, and where that file ended before them.</summary>
    private sealed class Part
    {
        private int _written;

        public FileTarget Target { get; private set; } = null!;
        public ByteBuffer Bytes { get; } = new();
        public ulong Inode { get; private set; }
        public long Before { get; private set; }

        public bool HoldsMessages { get; set; }

        private bool _mustRewrite;
        private bool _isMisplaced;

        // After a restart: the file may hold the first bytes of this part already.
        private bool _repeated;

        public void Begin(FileTarget target)
        {
            Target = target;
            Bytes.Clear();
            Inode = 0;
            Before = 0;
            _repeated = _mustRewrite = _isMisplaced = HoldsMessages = false;
            _written = 0;
        }

        public void Repeat(FileTarget target, ulong inode, long before)
        {
            Target = target;
            Inode = inode;
            Before = before;
            // Nor is it known whether a sync of it failed.
            _repeated = _mustRewrite = true;
        }

        /// <summary>Notes where the file ends. Throws IOException while that cannot be found out.</summary>
        public void Locate(FileOutput output, OutputPath path)
        {
            if (_repeated)
                return;
            try
            {
                Target.Refresh();
            }
            catch (MisplacedException e) when (path.IsPerSource)
            {
                var misplaced = output.Target(path.Misplaced);
                output._report($"{e.Message}; its lines go to {misplaced.Name}");
                Target = misplaced;
                _isMisplaced = true;
                Target.Refresh();
            }

            // A repetition must find the file that was noted, or it goes to another, without a note, and a second one follows it there.
            if (output._sync)
                Target.SyncName();
            Inode = Target.Inode;
            // Messages have no end that could be missing.
            if (output._unended?.Add(Inode) == true && !HoldsMessages)
                Target.EndLine();
            Before = Target.Length;
        }

        /// <summary>Several names that can be no file end in the same one: this part stands behind those before it.</summary>
        public void Follow(IReadOnlyList<Part> parts)
        {
            if (_repeated || !_isMisplaced)
                return;
            foreach (var part in parts)
            {
                if (part == this)
                    return;
                if (part.Target == Target)
                    Before += part.Bytes.Length;
            }
        }

        /// <summary>
        /// Writes into the file that was noted, even if it was moved away since: a line that began there ends there.
        /// </summary>
        public void Write(FileOutput output)
        {
            if (!Target.IsOpenAs(Inode))
                Reopen(output);
            if (_repeated)
            {
                var found = Match(output);
                if (found < 0 && !HoldsMessages)
                    Target.EndLine();
                _written = Math.Max(found, 0);
                _repeated = false;
                if (_written > 0)
                    output._repeats++;
            }

            var start = Target.Length;
            try
            {
                Target.Append(Bytes.Written[_written..]);
            }
            finally
            {
                _written += (int)(Target.Length - start);
            }

            if (!output._sync)
                return;
            if (_mustRewrite)
                Rewrite(output._disk);
            _mustRewrite = true;
            Target.Sync();
            _mustRewrite = false;
        }

        private void Reopen(FileOutput output)
        {
            while (FindNoted(output._disk) is { } name)
            {
                Target = output.Target(name);
                Target.Refresh();
                if (Target.Inode == Inode)
                    return;
            }

            output._report($"{Target.Name}: was moved away or removed before all of a chunk was in it; up to {Bytes.Length} bytes may stand twice, there and here");
            Target.Refresh();
            Inode = Target.Inode;
            Before = Target.Length;
            _repeated = false;
            _written = 0;
        }

        // The kernel forgets what it could not sync, so the same bytes are written to the same place again; elsewhere is nobody's business.
        private void Rewrite(Disk disk)
        {
            var name = FindNoted(disk);
            using var file = name is null ? null : disk.Open(name, Opening.ExistingToChange);
            if (file is null)
                return;
            var there = new byte[Bytes.Length];
            var count = file.Read(there, Before);
            if (Bytes.Written[..count].SequenceEqual(there.AsSpan(0, count)))
                file.Write(there.AsSpan(0, count), Before);
        }

        // Bytes of this part that an earlier life of this process wrote.
        // -1: something else stands there. Read from the file that is open: its name may be another's by now.
        private int Match(FileOutput output)
        {
            var expected = Bytes.Written;
            var there = new byte[expected.Length];
            var count = Target.Read(there, Before);
            var found = expected[..count].CommonPrefixLength(there);
            if (found == count)
                return count;
            if (IsTorn(expected[found..count], there.AsSpan(found)))
            {
                Target.Truncate(Before + found);
                return found;
            }

            if (Before > 0)
                output._report($"{Target.Name}: somebody else wrote to it at byte {Before}; up to {expected.Length} bytes may stand in it twice");
            return -1;
        }

        // What a loss of power leaves of bytes that were on their way to the disk: ours, or nothing.
        private static bool IsTorn(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> there)
        {
            for (var i = 0; i < expected.Length; i++)
            {
                if (there[i] != 0 && there[i] != expected[i])
                    return false;
            }

            return true;
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
        private readonly List<(string Name, ulong Inode, long Length)> _journaled = [];
        private FileOutputSettings _settings = output._settings;
        private LineFormat _format = output._format;
        private OutputPath _path = output._path;
        private Part? _last;
        private LineSource? _lastSource;
        private string _lastSlice = "";
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
            (_settings, _format, _path) = (output._settings, output._format, output._path);
            _path.Forget();
            var reader = new MessagePackReader(note);
            if (!note.IsEmpty)
                TakeSettings(ref reader);
            while (!reader.AtEnd && reader.Read(out var path) == ReadResult.Success && reader.Read(out var inode) == ReadResult.Success
                && reader.Read(out var length) == ReadResult.Success)
                _journaled.Add((Encoding.UTF8.GetString(path.Payload), inode.Number, (long)length.Number));
        }

        // A repetition goes where its first attempt went, in the form it had, whatever the configuration says by now.
        private void TakeSettings(ref MessagePackReader reader)
        {
            if (reader.Read(out var path) != ReadResult.Success || reader.Read(out var format) != ReadResult.Success || reader.Read(out var time) != ReadResult.Success)
                return;
            var settings = output._settings with
            {
                Path = Encoding.UTF8.GetString(path.Payload),
                Format = Encoding.UTF8.GetString(format.Payload),
                Time = Encoding.UTF8.GetString(time.Payload),
            };
            if (settings != _settings)
                (_settings, _format, _path) = (settings, new LineFormat(settings.Format, settings.Time, output._zone), new OutputPath(settings.Path, output._zone));
        }

        public override bool TryWriteNote(ByteBuffer target)
        {
            if (!output._gate.TryEnter(output))
                return false;
            try
            {
                target.Append(output._noteHead);
                foreach (var part in _parts)
                {
                    part.Locate(output, _path);
                    part.Follow(_parts);
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

        protected override void Pack(in LineBlock lines)
        {
            var slice = _path.At(lines.Time);
            var part = ReferenceEquals(lines.Source, _lastSource) && ReferenceEquals(slice, _lastSlice) ? _last! : PartOf(lines.Source, slice);
            var before = part.Bytes.Length;
            _format.Write(part.Bytes, lines);
            _packed += part.Bytes.Length - before;
        }

        private Part PartOf(LineSource source, string slice)
        {
            var target = output.TargetOf(source, _path, slice);
            if (!_byTarget.TryGetValue(target, out var part))
            {
                part = _spare.TryPop(out var spare) ? spare : new Part();
                part.Begin(target);
                // The same lines make the same parts in the same order, wherever each of them went.
                if (_parts.Count < _journaled.Count)
                {
                    var (name, inode, length) = _journaled[_parts.Count];
                    part.Repeat(output.Target(name), inode, length);
                }

                _byTarget.Add(target, part);
                _parts.Add(part);
            }

            (_lastSource, _lastSlice) = (source, slice);
            part.HoldsMessages |= source.IsMessage;
            return _last = part;
        }
    }
}
