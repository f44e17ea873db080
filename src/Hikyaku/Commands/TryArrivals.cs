using System.Globalization;
using System.Text;

namespace Hikyaku.Commands;

/// <summary>Lines as they appear in the output file, each with its age: it begins with the time of its write(2).</summary>
internal sealed class TryArrivals : IDisposable
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    private readonly string _file;
    private readonly FileSystemWatcher _watcher;
    private readonly AutoResetEvent _changed = new(false);
    private readonly List<byte> _rest = [];
    private readonly Queue<(string Line, decimal Seen)> _come = new();
    private readonly byte[] _buffer = new byte[64 * 1024];
    private long _position;

    public TryArrivals(string file)
    {
        _file = file;
        _watcher = new FileSystemWatcher(Path.GetDirectoryName(file)!) { NotifyFilter = NotifyFilters.Size | NotifyFilters.LastWrite | NotifyFilters.FileName };
        _watcher.Changed += (_, _) => _changed.Set();
        _watcher.Created += (_, _) => _changed.Set();
        _watcher.EnableRaisingEvents = true;
    }

    /// <summary>The lines that arrived, as they were written.</summary>
    public List<string> Lines { get; } = [];

    /// <summary>The next line with its age and origin; null when none comes in time.</summary>
    public string? Next(TimeSpan patience)
    {
        var until = TimeProvider.System.GetUtcNow() + patience;
        while (_come.Count is 0)
        {
            Read();
            if (_come.Count > 0)
                break;
            if (TimeProvider.System.GetUtcNow() > until)
                return null;
            _changed.WaitOne(Poll);
        }
        var (line, seen) = _come.Dequeue();
        var parts = line.Split(' ', 3);
        if (parts is not [var time, var origin, var text] || !decimal.TryParse(time, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var written))
            return line;
        Lines.Add(text);
        return string.Create(CultureInfo.InvariantCulture, $"{(seen - written) * 1000,8:0.00} ms  {origin}  {text}");
    }

    public void Dispose()
    {
        _watcher.Dispose();
        _changed.Dispose();
    }

    private void Read()
    {
        if (!File.Exists(_file))
            return;
        using var file = new FileStream(_file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        file.Position = _position;
        int read;
        while ((read = file.Read(_buffer)) > 0)
        {
            var seen = (decimal)(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerSecond;
            _position += read;
            foreach (var b in _buffer.AsSpan(0, read))
                if (b is (byte)'\n')
                {
                    _come.Enqueue((Encoding.UTF8.GetString([.. _rest]), seen));
                    _rest.Clear();
                }
                else
                    _rest.Add(b);
        }
    }
}
