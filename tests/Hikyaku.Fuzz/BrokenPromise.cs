using System.Runtime.CompilerServices;

namespace Hikyaku.Fuzz;

/// <summary>What a target holds against the code under fire, in words.</summary>
internal sealed class BrokenPromise(string what) : Exception(what)
{
    public static void Unless(bool kept, string what)
    {
        if (!kept)
            throw new BrokenPromise(what);
    }

    public static void Unless(bool kept, [InterpolatedStringHandlerArgument(nameof(kept))] Words what)
    {
        if (!kept)
            throw new BrokenPromise(what.ToString());
    }

    /// <summary>Words that are put together only when a promise was broken: there are millions of rounds.</summary>
    [InterpolatedStringHandler]
    public readonly ref struct Words
    {
        private readonly System.Text.StringBuilder? _text;

        public Words(int literals, int values, bool kept, out bool isWanted)
        {
            isWanted = !kept;
            _text = kept ? null : new(literals + (values * 20));
        }

        public void AppendLiteral(string text) => _text!.Append(text);

        public void AppendFormatted<T>(T value, string? format = null) =>
            _text!.Append(value is IFormattable number ? number.ToString(format, null) : value?.ToString());

        public override string ToString() => _text?.ToString() ?? "";
    }
}
