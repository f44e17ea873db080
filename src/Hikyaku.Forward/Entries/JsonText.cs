namespace Hikyaku.Forward;

/// <summary>Renders a MessagePack value as compact JSON text. Bytes of text that are not UTF-8 pass unchanged.</summary>
internal static class JsonText
{
    // Deeper values are rendered as null: the only recursion over foreign bytes in this project must have a floor.
    private const int DepthMax = 32;

    /// <summary>Appends the next value of <paramref name="reader"/>, which must be known to be whole.</summary>
    public static void Write(ref MessagePackReader reader, ByteBuffer to, int depth = 0)
    {
        var start = reader.Position;
        if (reader.Read(out var token) != ReadResult.Success)
            return;
        switch (token.Kind)
        {
            case MessagePackKind.Array or MessagePackKind.Map when depth == DepthMax:
                reader.Position = start;
                reader.Skip();
                to.Append("null"u8);
                break;
            case MessagePackKind.Array:
                to.Append((byte)'[');
                for (ulong i = 0; i < token.Number; i++)
                {
                    if (i > 0)
                        to.Append((byte)',');
                    Write(ref reader, to, depth + 1);
                }
                to.Append((byte)']');
                break;
            case MessagePackKind.Map:
                to.Append((byte)'{');
                for (ulong i = 0; i < token.Number; i++)
                {
                    if (i > 0)
                        to.Append((byte)',');
                    WriteKey(ref reader, to);
                    to.Append((byte)':');
                    Write(ref reader, to, depth + 1);
                }
                to.Append((byte)'}');
                break;
            default:
                WriteScalar(token, to);
                break;
        }
    }

    // JSON's keys are text; numbers and the like are rendered and put in quotes. A map or array as a key says nothing to anybody,
    // and rendering it would double its quotes at each level.
    private static void WriteKey(ref MessagePackReader reader, ByteBuffer to)
    {
        var start = reader.Position;
        if (reader.Read(out var token) == ReadResult.Success && token.IsBytes)
        {
            WriteText(token.Payload, to);
            return;
        }
        if (token.Kind is MessagePackKind.Array or MessagePackKind.Map)
        {
            reader.Position = start;
            reader.Skip();
            to.Append("\"?\""u8);
            return;
        }

        var rendered = new ByteBuffer();
        WriteScalar(token, rendered);
        WriteText(rendered.Written, to);
    }

    private static void WriteScalar(in MessagePackToken token, ByteBuffer to)
    {
        switch (token.Kind)
        {
            case MessagePackKind.Boolean:
                to.Append(token.Number == 0 ? "false"u8 : "true"u8);
                break;
            case MessagePackKind.Unsigned:
                WriteNumber(token.Number, to);
                break;
            case MessagePackKind.Negative:
                WriteNumber((long)token.Number, to);
                break;
            case MessagePackKind.Float when double.IsFinite(token.Double):
                WriteNumber(token.Double, to);
                break;
            case MessagePackKind.Text or MessagePackKind.Binary:
                WriteText(token.Payload, to);
                break;
            case MessagePackKind.Extension when EntryTime.TryEventTime(token, out var seconds, out var nanoseconds):
                WriteNumber(seconds, to);
                to.Append((byte)'.');
                WriteNumber(nanoseconds, to, "D9");
                break;
            case MessagePackKind.Extension:
                to.Append((byte)'"');
                foreach (var value in token.Payload)
                    WriteNumber(value, to, "x2");
                to.Append((byte)'"');
                break;
            default:
                to.Append("null"u8);
                break;
        }
    }

    private static void WriteNumber<T>(T number, ByteBuffer to, ReadOnlySpan<char> format = default)
        where T : IUtf8SpanFormattable
    {
        if (number.TryFormat(to.GetSpan(40), out var written, format, provider: null))
            to.Advance(written);
    }

    private static void WriteText(ReadOnlySpan<byte> text, ByteBuffer to)
    {
        to.Append((byte)'"');
        foreach (var value in text)
        {
            switch (value)
            {
                case (byte)'"' or (byte)'\\':
                    to.Append((byte)'\\');
                    to.Append(value);
                    break;
                case (byte)'\n':
                    to.Append("\\n"u8);
                    break;
                case (byte)'\t':
                    to.Append("\\t"u8);
                    break;
                case (byte)'\r':
                    to.Append("\\r"u8);
                    break;
                case < 0x20:
                    to.Append("\\u00"u8);
                    WriteNumber(value, to, "x2");
                    break;
                default:
                    to.Append(value);
                    break;
            }
        }
        to.Append((byte)'"');
    }
}
