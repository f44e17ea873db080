namespace Hikyaku.Transfer.Servers;

/// <summary>One SRV record.</summary>
internal readonly record struct SrvRecord(string Host, int Port, int Priority, int Weight);

/// <summary>All SRV records of a name, and how long they hold.</summary>
internal sealed record SrvAnswer(IReadOnlyList<SrvRecord> Records, TimeSpan TimeToLive);

/// <summary>Asks for the SRV records of a name. Throws IOException with a message for people.</summary>
internal delegate Task<SrvAnswer> SrvLookup(string name, CancellationToken cancel);
