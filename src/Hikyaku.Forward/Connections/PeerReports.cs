namespace Hikyaku.Forward;

/// <summary>
/// Says of each peer what is wrong with it: each trouble once, until the peer does well again. A peer that tries for ever is one
/// line, and one that finds something new each time is a few lines a minute.
/// </summary>
/// <param name="report">Takes the lines, "address: trouble".</param>
/// <param name="time">The clock of the minute.</param>
public sealed class PeerReports(Action<string> report, TimeProvider time)
{
    /// <summary>Peers in trouble that are remembered; with more, all of them may be named anew.</summary>
    public const int PeersMax = 4096;

    private const int TroublesMax = 8;

    private static readonly TimeSpan QuietTime = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, (long Since, HashSet<string> Troubles)> troubled = new(StringComparer.Ordinal);

    /// <summary>Reports the trouble, unless this peer had it, or too many others, before.</summary>
    public void Tell(string peer, string trouble)
    {
        lock (troubled)
        {
            if (!troubled.TryGetValue(peer, out var known))
            {
                if (troubled.Count >= PeersMax)
                    troubled.Clear();
                troubled[peer] = known = (time.GetTimestamp(), new HashSet<string>(StringComparer.Ordinal));
            }
            if (known.Troubles.Count >= TroublesMax || !known.Troubles.Add(trouble))
                return;
        }
        report($"{peer}: {trouble}");
    }

    /// <summary>The peer does well: its next trouble is news.</summary>
    public void Well(string peer)
    {
        // Nobody is in trouble nearly always, and who is finds the way out a message later.
        if (troubled.Count == 0)
            return;
        lock (troubled)
        {
            if (troubled.TryGetValue(peer, out var known) && time.GetElapsedTime(known.Since) >= QuietTime)
                troubled.Remove(peer);
        }
    }
}
