namespace Hikyaku.Forward;

/// <summary>Who sent a message.</summary>
/// <param name="Address">The sender's address as text, without the port.</param>
/// <param name="Connection">A number that no other connection to this server has.</param>
public readonly record struct ForwardPeer(string Address, ulong Connection);
