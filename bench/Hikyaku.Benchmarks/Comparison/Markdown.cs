using System.Text;

namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Text with tables, as a part of docs/PERFORMANCE.md.</summary>
internal sealed class Markdown
{
    private readonly StringBuilder _text = new();

    public Markdown Title(string title)
    {
        _text.Append("#### ").Append(title).Append("\n\n");
        return this;
    }

    public Markdown Text(string text)
    {
        _text.Append(text).Append("\n\n");
        return this;
    }

    /// <param name="columns">Titles; a column whose title ends with a blank is of words, the others are of numbers.</param>
    /// <param name="rows">As many cells as there are columns.</param>
    public Markdown Table(string[] columns, IEnumerable<string[]> rows)
    {
        Row(columns.Select(static c => c.TrimEnd()));
        _text.Append('|').AppendJoin('|', columns.Select(static c => c.EndsWith(' ') ? "---" : "---:")).Append("|\n");
        foreach (var row in rows)
            Row(row);
        _text.Append('\n');
        return this;
    }

    public override string ToString() => _text.ToString();

    private void Row(IEnumerable<string> cells) => _text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");
}
