using System.Text;

namespace Hikyaku.Transfer.Plugins;

/// <summary>
/// A program of the user's and its arguments, started without a shell. <see cref="Environment"/>: NAME=value, beside what we have
/// ourselves.
/// </summary>
public sealed record PluginCommand(IReadOnlyList<string> Words, IReadOnlyList<string> Environment)
{
    /// <summary>Words in front of every plugin's, which make it die with us; empty: nothing does but the end of its input.</summary>
    public IReadOnlyList<string> Launcher { get; init; } = [];

    /// <summary>How it is called in messages.</summary>
    public string Name => string.Join(' ', Words);

    /// <summary>Takes words apart from the variables in front of them; null if nothing but those is there.</summary>
    public static PluginCommand? Of(IReadOnlyList<string> words)
    {
        var variables = words.TakeWhile(IsVariable).Count();
        return variables == words.Count ? null : new PluginCommand([.. words.Skip(variables)], [.. words.Take(variables)]);
    }

    /// <summary>
    /// Splits as a shell does words without any special sign: at blanks; '...' as it stands, "..." with \" and \\ in it, and a backslash before
    /// any other sign. Null: a quote or a backslash has nothing behind it.
    /// </summary>
    public static IReadOnlyList<string>? Split(string text)
    {
        var words = new List<string>();
        StringBuilder? word = null;
        var quote = '\0';
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            var isLast = i + 1 == text.Length;
            if (c == '\\' && quote != '\'')
            {
                if (isLast)
                    return null;
                word ??= new StringBuilder();
                if (quote == '"' && text[i + 1] is not ('"' or '\\'))
                    word.Append(c);
                else
                    word.Append(text[++i]);
            }
            else if (quote != '\0')
            {
                if (c == quote)
                    quote = '\0';
                else
                    word!.Append(c);
            }
            else if (c is '\'' or '"')
            {
                quote = c;
                word ??= new StringBuilder();
            }
            else if (c is ' ' or '\t' or '\n')
            {
                if (word is not null)
                    words.Add(word.ToString());
                word = null;
            }
            else
            {
                (word ??= new StringBuilder()).Append(c);
            }
        }

        if (word is not null)
            words.Add(word.ToString());
        return quote == '\0' ? words : null;
    }

    private static bool IsVariable(string word)
    {
        var equals = word.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 && !char.IsAsciiDigit(word[0]) && word.AsSpan(0, equals).IndexOfAnyExcept(NameLetters) < 0;
    }

    private static readonly System.Buffers.SearchValues<char> NameLetters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}
