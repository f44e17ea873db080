namespace Hikyaku.Transfer.Rules;

/// <summary>A pattern that cannot be used; the message says why.</summary>
internal sealed class PatternException(string message) : Exception(message);
