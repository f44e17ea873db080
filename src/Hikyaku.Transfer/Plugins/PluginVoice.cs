using System.Text;

namespace Hikyaku.Transfer.Plugins;

/// <summary>What a plugin says, line by line, as messages of ours: so many at once and so many a second; the rest is counted.</summary>
internal sealed class PluginVoice(string name, Action<string> report)
{
    public const int AtOnce = 100, PerSecond = 10;
    private const int LineBytesMax = 1024;

    private readonly byte[] _line = new byte[LineBytesMax];
    private int _length;
    private double _allowed = AtOnce;
    private long _last = Environment.TickCount64;
    private long _leftOut;

    public void Hear(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var end = bytes.IndexOf((byte)'\n');
            var piece = end < 0 ? bytes : bytes[..end];
            var kept = piece[..Math.Min(piece.Length, LineBytesMax - _length)];
            kept.CopyTo(_line.AsSpan(_length));
            _length += kept.Length;
            if (end < 0)
                return;
            EndLine();
            bytes = bytes[(end + 1)..];
        }
    }

    /// <summary>It says no more.</summary>
    public void End()
    {
        if (_length > 0)
            EndLine();
        TellLeftOut();
    }

    private void EndLine()
    {
        var now = Environment.TickCount64;
        _allowed = Math.Min(AtOnce, _allowed + ((now - _last) * PerSecond / 1000.0));
        _last = now;
        if (_allowed < 1)
        {
            _leftOut++;
        }
        else
        {
            TellLeftOut();
            _allowed--;
            report($"{name}: {Text(_line.AsSpan(0, _length))}");
        }

        _length = 0;
    }

    private void TellLeftOut()
    {
        if (_leftOut > 0)
            report($"{name}: {_leftOut} more lines of what it says are left out: it says too much at once");
        _leftOut = 0;
    }

    private static string Text(ReadOnlySpan<byte> line) =>
        string.Create(Encoding.UTF8.GetCharCount(line), line, static (text, line) =>
        {
            Encoding.UTF8.GetChars(line, text);
            foreach (ref var c in text)
            {
                if (char.IsControl(c))
                    c = c == '\t' ? ' ' : '?';
            }
        });
}
