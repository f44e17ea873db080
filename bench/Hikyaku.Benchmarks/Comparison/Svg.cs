using System.Globalization;
using System.Security;
using System.Text;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A drawing on white. Lengths are pixels, y goes down.</summary>
internal sealed class Svg(int width, int height)
{
    private readonly StringBuilder _text = new(string.Create(CultureInfo.InvariantCulture,
        $"""
        <svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif">
        <rect width="{width}" height="{height}" fill="#ffffff"/>

        """));

    public void Text(double x, double y, string text, string colour, int size, bool bold = false, string anchor = "start") =>
        Add($"""<text x="{x:0.#}" y="{y:0.#}" fill="{colour}" font-size="{size}"{(bold ? " font-weight=\"600\"" : "")} text-anchor="{anchor}">{SecurityElement.Escape(text)}</text>""");

    public void Box(double x, double y, double wide, double high, string colour) =>
        Add($"""<rect x="{x:0.#}" y="{y:0.#}" width="{Math.Max(1, wide):0.#}" height="{high:0.#}" fill="{colour}"/>""");

    public void Line(double x, double y, double toX, double toY, string colour, double thick) =>
        Add($"""<line x1="{x:0.#}" y1="{y:0.#}" x2="{toX:0.#}" y2="{toY:0.#}" stroke="{colour}" stroke-width="{thick}"/>""");

    public void Path(IReadOnlyList<(double X, double Y)> points, string colour) =>
        Add($"""<polyline points="{string.Join(' ', points.Select(static p => string.Create(CultureInfo.InvariantCulture, $"{p.X:0.#},{p.Y:0.#}")))}" fill="none" stroke="{colour}" stroke-width="2"/>""");

    public override string ToString() => _text + "</svg>\n";

    private void Add(FormattableString element) => _text.Append(element.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
