using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Appends formatted lines to one file, or to one file per source. Exactly once: the journal holds each file's length before
/// a chunk, formatting is deterministic, so after a crash the file itself tells how much of the repetition is there already.
/// </summary>
internal sealed class FileOutput : Output
{
    private const int ChunkBytes = 1 << 20;
    private const int OpenFilesMax = 256;
    private const int SpareMax = 64;
    private static readonly TimeSpan RetryTime = TimeSpan.FromSeconds(1);

    private readonly FileOutputSettings _settings;
    private readonly LineFormat _format;
    private readonly TimeProvider _time;
    private readonly Action<string> _report;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, FileTarget> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<LineSource, FileTarget> _bySource = [];
    private readonly FileTarget? _unified;
    private readonly FileChunk _chunk;
    private bool _busy;
    private Task _retry = Task.CompletedTask;
    private string _problem = "";
    private long _lines;
    private long _bytes;
    private long _repeats;

    public FileOutput(FileOutputSettings settings, TimeZoneInfo zone, TimeProvider time, Action<string> report)
    {
        _settings = settings;
        _format = new LineFormat(settings.Format, settings.Time, zone);
        _time = time;
        _report = report;
        _chunk = new FileChunk(this);
        if (!settings.Path.Contains('{', StringComparison.Ordinal))
            _unified = new FileTarget(Encoding.UTF8.GetBytes(settings.Path));
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
            _retry = RetryAsync(_stop.Token);
    }

    public override void Free(Chunk chunk)
    {
        _lines += chunk.Lines;
        _bytes += chunk.Bytes;
        _busy = false;
        if (_targets.Count > OpenFilesMax)
            CloseAll();
    }

    public override void Sync()
    {
        _unified?.Sync();
        foreach (var target in _targets.Values)
            target.Sync();
    }

    public override IReadOnlyList<ReceiverStatus> Status() =>
        [new ReceiverStatus(_settings.Path, _problem.Length == 0, _problem, _lines, _bytes, _busy ? 1 : 0, _repeats)];

    public override async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _retry;
        CloseAll();
        _unified?.Dispose();
        _stop.Dispose();
    }

    private void CloseAll()
    {
        foreach (var target in _targets.Values)
            target.Dispose();
        _targets.Clear();
        _bySource.Clear();
    }

    private bool TryWrite()
    {
        try
        {
            foreach (var part in _chunk.Parts)
                part.Write(this);
            _chunk.Done = true;
            if (_problem.Length > 0)
                _report($"{_settings.Path}: writing again");
            _problem = "";
            Changed();
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Blame(e);
            return false;
        }
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

    private bool TryLocate(Part part)
    {
        try
        {
            part.Target.Refresh();
            (part.Inode, part.Before) = (part.Target.Inode, part.Target.Length);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Blame(e);
            return false;
        }
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
        var name = PathTemplate.Expand(_settings.Path, source);
        if (!_targets.TryGetValue(name, out target))
            _targets[name] = target = new FileTarget(Encoding.UTF8.GetBytes(name));
        return _bySource[source] = target;
    }

    private void Format(ByteBuffer buffer, in Line line) => _format.Write(buffer, line);

    /// <summary>The lines of one chunk for one file, and where that file ended before them.</summary>
    private sealed class Part(FileTarget target, ByteBuffer bytes)
    {
        public FileTarget Target => target;
        public ByteBuffer Bytes => bytes;
        public ulong Inode { get; set; }
        public long Before { get; set; }

        /// <summary>Set after a restart: the file may hold the first bytes of this part already.</summary>
        public bool Repeated { get; set; }

        private int _written;

        public void Write(FileOutput output)
        {
            if (Repeated)
            {
                _written = Found(output);
                Repeated = false;
                if (_written > 0)
                    output._repeats++;
            }

            target.Refresh();
            var start = target.Length;
            try
            {
                target.Append(Bytes.Written[_written..]);
            }
            finally
            {
                _written += (int)(target.Length - start);
            }
        }

        // Bytes of this part that an earlier life of this process wrote.
        private int Found(FileOutput output)
        {
            var name = FindFile();
            if (name is null)
            {
                output._report($"{target.Name}: was moved away or removed while this program was not running; up to {Bytes.Length} bytes may stand in it twice");
                return 0;
            }

            var there = new byte[Bytes.Length];
            var count = FileTarget.Read(name, Before, there);
            if (Bytes.Written[..count].SequenceEqual(there.AsSpan(0, count)))
                return count;
            output._report($"{name}: somebody else wrote to it at byte {Before}; up to {Bytes.Length} bytes may stand in it twice");
            return 0;
        }

        private string? FindFile()
        {
            if (FileTarget.TryStat(target.Name, out var inode, out _) && inode == Inode)
                return target.Name;
            var directory = Path.GetDirectoryName(target.Name);
            if (directory is null || !Directory.Exists(directory))
                return null;
            // Renamed by a rotation in between: it still has its inode.
            return Directory.EnumerateFiles(directory).FirstOrDefault(f => FileTarget.TryStat(f, out var other, out _) && other == Inode);
        }
    }

    private sealed class FileChunk(FileOutput output) : Chunk
    {
        private readonly List<Part> _parts = [];
        private readonly Dictionary<FileTarget, Part> _byTarget = [];
        private readonly Stack<ByteBuffer> _spare = new(); // grown once: a chunk's worth of new memory per chunk would cost more than its lines
        private readonly Dictionary<string, (ulong Inode, long Length)> _journaled = new(StringComparer.Ordinal);
        private Part? _last;
        private LineSource? _lastSource;
        private long _packed;

        public IReadOnlyList<Part> Parts => _parts;

        public override bool IsFull => _packed >= ChunkBytes;

        public void Begin(ReadOnlySpan<byte> note)
        {
            Reset();
            _packed = 0;
            _last = null;
            _lastSource = null;
            foreach (var part in _parts)
            {
                part.Bytes.Clear(keep: 2 * ChunkBytes / _parts.Count);
                if (_spare.Count < SpareMax)
                    _spare.Push(part.Bytes);
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
            foreach (var part in _parts)
            {
                if (part.Inode == 0 && !output.TryLocate(part))
                    return false;
                MessagePackWriter.WriteBinary(target, part.Target.Path);
                MessagePackWriter.WriteUnsigned(target, part.Inode);
                MessagePackWriter.WriteUnsigned(target, (ulong)part.Before);
            }

            return true;
        }

        protected override void Pack(in Line line)
        {
            var part = ReferenceEquals(line.Source, _lastSource) ? _last! : PartOf(line.Source);
            var before = part.Bytes.Length;
            output.Format(part.Bytes, line);
            _packed += part.Bytes.Length - before;
        }

        private Part PartOf(LineSource source)
        {
            var target = output.TargetOf(source);
            if (!_byTarget.TryGetValue(target, out var part))
            {
                part = new Part(target, _spare.TryPop(out var spare) ? spare : new ByteBuffer());
                _byTarget.Add(target, part);
                _parts.Add(part);
                if (_journaled.TryGetValue(target.Name, out var at))
                {
                    (part.Inode, part.Before) = at;
                    part.Repeated = true;
                }
            }

            _lastSource = source;
            return _last = part;
        }
    }
}
