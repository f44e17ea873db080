using System.Text;

namespace Hikyaku.Transfer.Rules;

/// <summary>
/// A line as characters, made once for all expressions that look at it. Each byte that is not UTF-8 is a character of its own, a lone
/// surrogate (U+DC00 and the byte). Places are led back to bytes, so that nothing needs to be encoded again.
/// </summary>
internal sealed class LineText
{
    private const int KeptChars = 64 << 10;

    private char[] _chars = new char[256];
    private int[] _offsets = [];
    private int _length = -1;
    private bool _isAscii;
    private string? _whole;

    /// <summary>To be called when another line comes.</summary>
    public void Forget()
    {
        _length = -1;
        _whole = null;
        if (_chars.Length > KeptChars)
            (_chars, _offsets) = (new char[256], []);
    }

    /// <summary>The characters of the line, the same until <see cref="Forget"/>.</summary>
    public ReadOnlySpan<char> Of(ReadOnlySpan<byte> line)
    {
        if (_length < 0)
            Decode(line);
        return _chars.AsSpan(0, _length);
    }

    /// <summary>The same as a string, for what takes nothing else.</summary>
    public string WholeOf(ReadOnlySpan<byte> line) => _whole ??= new string(Of(line));

    /// <summary>Where the character at this place begins in the line; within a pair of surrogates the place of the pair.</summary>
    public int ByteAt(int place) => _isAscii ? place : _offsets[place];

    private void Decode(ReadOnlySpan<byte> line)
    {
        if (_chars.Length < line.Length)
            _chars = new char[Math.Max(line.Length, 2 * _chars.Length)];
        _isAscii = Ascii.IsValid(line);
        if (_isAscii)
        {
            Ascii.ToUtf16(line, _chars, out _length);
            return;
        }

        if (_offsets.Length <= line.Length)
            _offsets = new int[Math.Max(line.Length + 1, _chars.Length)];
        _length = 0;
        for (var at = 0; at < line.Length;)
        {
            if (line[at] < 0x80)
            {
                Add((char)line[at], at);
                at++;
                continue;
            }

            var valid = Rune.DecodeFromUtf8(line[at..], out var rune, out var used) == System.Buffers.OperationStatus.Done;
            if (valid)
            {
                var pair = rune.EncodeToUtf16(_chars.AsSpan(_length));
                _offsets.AsSpan(_length, pair).Fill(at);
                _length += pair;
            }

            for (var i = 0; !valid && i < used; i++)
                Add((char)(0xdc00 + line[at + i]), at + i);
            at += used;
        }

        _offsets[_length] = line.Length;
    }

    private void Add(char character, int at)
    {
        _chars[_length] = character;
        _offsets[_length++] = at;
    }
}
