namespace Hikyaku.Forward;

/// <summary>Fills bytes at random: so that nobody can guess them, or, in a simulation, from its seed.</summary>
public delegate void RandomFill(Span<byte> bytes);
