using System.Text;

namespace Hikyaku.Forward;

/// <summary>A shared key or a password. Whoever prints it prints three stars.</summary>
public sealed class Secret(string text)
{
    private readonly byte[] bytes = Encoding.UTF8.GetBytes(text);

    internal ReadOnlySpan<byte> Bytes => bytes;

    /// <summary>Not the secret.</summary>
    public override string ToString() => "***";
}
