namespace Hikyaku.Forward;

/// <summary>
/// Says of each peer what is wrong with it: each trouble once, until the peer does well again. A peer that tries for ever is one
/// line, and one that finds something new each time is a few lines a minute.
/// </summary>
/// <param name="report">Takes the lines, "address: trouble".</param>
/// <param name="time">The clock of the minute.</param>
/// <param name="ending">Stands behind each trouble.</param>
public sealed class PeerReports(Action<string> report, TimeProvider time, string ending = "")
{
    /// <summary>Peers in trouble that are remembered; with more, all of them may be named anew.</summary>
    public const int PeersMax = 4096;

    /// <summary>Lines a minute for all peers together.</summary>
    public const int LinesMax = 60;

    private const int TroublesMax = 8;

    private static readonly TimeSpan QuietTime = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, (long Since, HashSet<string> Troubles)> troubled = new(StringComparer.Ordinal);
    private long minute;
    private int lines, leftOut;

    /// <summary>Reports the trouble, unless this peer had it, or too many others, before, or too many peers are in trouble.</summary>
    public void Tell(string peer, string trouble)
    {
        var network = PeerNetwork.Of(peer);
        var before = 0;
        bool isLast;
        lock (troubled)
        {
            var isNew = !troubled.TryGetValue(network, out var known);
            if (!isNew && (known.Troubles.Count >= TroublesMax || known.Troubles.Contains(trouble)))
                return;
            if (time.GetElapsedTime(minute) >= QuietTime)
                (minute, lines, before, leftOut) = (time.GetTimestamp(), 0, leftOut, 0);
            if (lines >= LinesMax)
            {
                leftOut++;
                return;
            }
            isLast = ++lines == LinesMax;
            if (isNew)
            {
                if (troubled.Count >= PeersMax)
                    troubled.Clear();
                troubled[network] = known = (time.GetTimestamp(), new HashSet<string>(StringComparer.Ordinal));
            }
            known.Troubles.Add(trouble);
        }
        if (before > 0)
            report($"{before} reports about peers were left out");
        report($"{peer}: {trouble}{ending}");
        if (isLast)
            report($"{LinesMax} reports about peers within a minute; more are left out, and counted");
    }

    /// <summary>The peer does well: its next trouble is news.</summary>
    public void Well(string peer)
    {
        // Nobody is in trouble nearly always, and who is finds the way out a message later.
        if (troubled.Count == 0)
            return;
        var network = PeerNetwork.Of(peer);
        lock (troubled)
        {
            if (troubled.TryGetValue(network, out var known) && time.GetElapsedTime(known.Since) >= QuietTime)
                troubled.Remove(network);
        }
    }
}
