namespace Hikyaku.Mount;

/// <summary>The mount cannot be served; the message is for people and names the thing.</summary>
public sealed class MountException(string message) : IOException(message);
