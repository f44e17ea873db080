using System.Text;
using Hikyaku.Forward;

namespace Hikyaku.Tests.Forward;

/// <summary>Events as text, so that a test reads like what it expects.</summary>
internal static class Events
{
    private const string Foo = "1441588984000000000 foo", Bar = "1441588985000000000 bar", Baz = "1441588986000000000 baz";

    public const string Three = $"{Foo}|{Bar}|{Baz}";

    public static string Text(ForwardMessage message) => Text(message.Entries.Span, message.Common.Span, out _);

    public static string Text(ReadOnlySpan<byte> packed, ReadOnlySpan<byte> common, out long broken)
    {
        var lines = new List<string>();
        var reader = new EntryReader(packed, common, new EntryScratch());
        while (reader.TryRead(out var entry))
        {
            var fields = entry.Fields;
            lines.Add(string.Join(' ', new[]
            {
                $"{entry.Time}", Encoding.Latin1.GetString(entry.Message), fields.Host.IsEmpty ? "" : "host=" + Encoding.Latin1.GetString(fields.Host),
                fields.Path.IsEmpty ? "" : "path=" + Encoding.Latin1.GetString(fields.Path), fields.Pid is { } pid ? $"pid={pid}" : "",
                fields.Uid is { } uid ? $"uid={uid}" : "",
            }.Where(part => part.Length > 0)));
        }
        broken = reader.Broken;
        return string.Join('|', lines);
    }
}
