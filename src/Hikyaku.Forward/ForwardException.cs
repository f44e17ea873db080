namespace Hikyaku.Forward;

/// <summary>Something of the Forward protocol went wrong; the message is written for people.</summary>
public sealed class ForwardException(string message, Exception? cause = null) : Exception(message, cause);
