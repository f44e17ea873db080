namespace Hikyaku.Benchmarks.Comparison;

/// <summary>Something could not be started or went wrong on the way; the message is for people.</summary>
internal sealed class ComparisonException(string message) : Exception(message);
