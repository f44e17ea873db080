namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A system that takes part: opened when its turn comes.</summary>
/// <param name="session">Where it runs.</param>
/// <param name="name">Its name in the tables.</param>
/// <param name="open">Opens it in a directory of its own.</param>
/// <param name="lasts">It stays open from run to run. Those who follow files get new ones, and are started anew, for each.</param>
internal sealed class Contender(Session session, string name, Func<string, MeasuredSystem> open, bool lasts) : IDisposable
{
    private MeasuredSystem? _system;
    private string? _folder;

    public string Name => name;

    /// <summary>Whether what it loses is our fault.</summary>
    public bool IsOurs { get; init; }

    /// <summary>Whether lines go nowhere from here.</summary>
    public bool IsFloor { get; init; }

    public T With<T>(Func<MeasuredSystem, T> use)
    {
        _system ??= open(_folder = session.NewFolder());
        try
        {
            return use(_system);
        }
        finally
        {
            if (!lasts)
                Dispose();
        }
    }

    public void Dispose()
    {
        _system?.Dispose();
        _system = null;
        if (_folder is not null)
            Directory.Delete(_folder, recursive: true);
        _folder = null;
    }

    public static Contender Ours(Session session, StreetPlan plan) =>
        new(session, plan.Name, work => new Street(work, session.Hikyaku, plan), lasts: true) { IsOurs = true };

    /// <summary>Both kinds of capture, or the one that this program and machine have; remarks on the other.</summary>
    public static IEnumerable<StreetPlan> Captures(Session session)
    {
        var passthrough = new StreetPlan { Passthrough = true };
        if (Street.Refusal(session.NewFolder(), session.Hikyaku, passthrough) is not { } refusal)
            return [new StreetPlan(), passthrough];
        session.Remark($"{Street.Passthrough} is not available: {refusal}");
        return [new StreetPlan()];
    }

    /// <summary>The best of the others, where they are to be had.</summary>
    public static IEnumerable<Contender> Peers(Session session)
    {
        PeerProgram.Fetch(session);
        foreach (var (name, tuned, variants) in new[] { ("rsyslog", Rsyslog.Tuned, Rsyslog.Variants(session)), ("syslog-ng", SyslogNg.Tuned, SyslogNg.Variants(session)) })
        {
            foreach (var variant in variants.Where(v => v.Name == tuned))
                yield return new Contender(session, name, variant.Open, lasts: false);
        }
    }
}
