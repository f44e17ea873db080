namespace Hikyaku.Transfer;

/// <summary>Reads a list of servers; null, and what is wrong with it, if it cannot be used.</summary>
public delegate IReadOnlyList<TargetServer>? ParseServers(string text, out string problem);

/// <summary>A file that names servers, and how it is read. It may be replaced or changed at any time.</summary>
public sealed record ServersFile(string Path, ParseServers Parse);
