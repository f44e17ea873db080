using System.Text;
using Hikyaku.Forward;

namespace Hikyaku.Transfer.Outputs;

/// <summary>The path of output files, with directives of strftime(3) for the time of a line, and {host}, {path} and {file} for where it comes from.</summary>
internal sealed class OutputPath
{
    private readonly string _path;
    private readonly TimeLayout? _layout;
    private readonly ByteBuffer _text = new();
    private long _second = long.MinValue;
    private string _slice = "";

    public OutputPath(string path, TimeZoneInfo zone)
    {
        _path = path;
        if (path.Contains('%', StringComparison.Ordinal))
            _layout = new TimeLayout(path, zone);
        else
            _slice = path;
        IsPerSource = path.Contains('{', StringComparison.Ordinal);
    }

    public bool IsPerSource { get; }

    /// <summary>All lines go to the same file.</summary>
    public bool IsSingle => _layout is null && !IsPerSource;

    /// <summary>The path at that time, still with what stands for the source; the same instance as before if it is the same.</summary>
    /// <param name="time">Unix time in ns; 0: not known, and taken to be that of the line before.</param>
    public string At(long time)
    {
        if (_layout is null || (time == 0 && _slice.Length > 0))
            return _slice;
        var second = Math.DivRem(time, 1_000_000_000).Quotient;
        if (second == _second)
            return _slice;
        _second = second;
        _text.Clear();
        _layout.Write(_text, time);
        var slice = Encoding.UTF8.GetString(_text.Written);
        if (!string.Equals(slice, _slice, StringComparison.Ordinal))
            _slice = slice;
        return _slice;
    }

    /// <summary>The next line is the first of a chunk.</summary>
    public void Forget()
    {
        if (_layout is not null)
            (_second, _slice) = (long.MinValue, "");
    }

    /// <summary>Where lines go whose own file cannot be: a path through a file, a name that is too long.</summary>
    public string Misplaced
    {
        get
        {
            var end = _path.AsSpan().IndexOfAny('{', '%');
            return Path.Combine(Path.GetDirectoryName(_path[..end] + "x") ?? "/", "misplaced.log");
        }
    }
}
