using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Plugins;

namespace Hikyaku.Transfer.Outputs;

/// <summary>
/// Feeds lines to a process of the user's, or to one for each file that its output goes to. A chunk is done when they have read it; what
/// they read and did not live to use is theirs. Each process has a thread, so that one that does not read keeps nobody else waiting.
/// </summary>
internal sealed class PipeOutput : Output
{
    private const int InFlightMax = 4;
    private const int SourcesMax = 16_384;
    private const int TargetsMax = 256;

    private readonly PipeOutputSettings _settings;
    private readonly string _name;
    private readonly Action<string> _report;
    private readonly Stack<PipeChunk> _spare = new();
    private readonly Dictionary<string, PipeTarget> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<LineSource, PipeTarget> _bySource = [];
    private readonly PipeTarget? _single;
    private readonly Lock _lock = new();
    private readonly List<PipeTarget> _running = [];
    private readonly List<PipeTarget> _waiting = [];
    private int _inFlight;

    public PipeOutput(PipeOutputSettings settings, string name, TimeZoneInfo zone, Action<string> report)
    {
        _settings = settings;
        _name = name;
        _report = report;
        Format = new LineFormat(settings.Format, settings.Time, zone);
        if (settings.Output is not { } output || !output.Contains('{', StringComparison.Ordinal))
            _single = Target(settings.Output ?? "", isPermanent: true);
    }

    public LineFormat Format { get; }

    public Framing Framing => _settings.Framing;

    public override Chunk? TryBegin(ReadOnlySpan<byte> note)
    {
        if (_inFlight == InFlightMax)
            return null;
        _inFlight++;
        return _spare.TryPop(out var spare) ? spare : new PipeChunk(this);
    }

    public override void Deliver(Chunk chunk, ulong lowest) => ((PipeChunk)chunk).Deliver();

    public override void Free(Chunk chunk)
    {
        _inFlight--;
        var spare = (PipeChunk)chunk;
        spare.Clear();
        _spare.Push(spare);
        if (_targets.Count <= TargetsMax && _bySource.Count <= SourcesMax)
            return;
        _bySource.Clear();
        foreach (var (name, target) in _targets.ToArray())
        {
            if (!target.TryLeave())
                continue;
            lock (_lock)
                _targets.Remove(name);
        }
    }

    public override IReadOnlyList<ReceiverStatus> Status()
    {
        lock (_lock)
            return [.. _targets.Values.Select(static t => t.Status())];
    }

    public override async ValueTask DisposeAsync()
    {
        PipeTarget[] targets;
        lock (_lock)
            targets = [.. _targets.Values];
        foreach (var target in targets)
            target.Stop();
        foreach (var target in targets)
            await target.Ended;
        foreach (var target in targets)
            target.Dispose();
    }

    public PipeTarget TargetOf(LineSource source)
    {
        if (_single is not null)
            return _single;
        if (_bySource.TryGetValue(source, out var target))
            return target;
        return _bySource[source] = Target(PathTemplate.Expand(_settings.Output!, source), isPermanent: false);
    }

    /// <summary>Lets one more process run. False: too many do; the one that has had nothing to do for longest is being ended, and the bell rings when there is room.</summary>
    public bool TryEnter(PipeTarget target)
    {
        lock (_lock)
        {
            _waiting.Remove(target);
            if (_running.Count < _settings.ProcessesMax)
            {
                _running.Add(target);
                return true;
            }

            _waiting.Add(target);
            _running.Where(static t => t.IsIdle).MinBy(static t => t.LastUse)?.End();
            return false;
        }
    }

    public void Exit(PipeTarget target)
    {
        lock (_lock)
            _running.Remove(target);
        CallWaiting();
    }

    /// <summary>Somebody has nothing to do: he may have to make room.</summary>
    public void CallWaiting()
    {
        lock (_lock)
        {
            foreach (var waiting in _waiting)
                waiting.Call();
        }
    }

    private PipeTarget Target(string output, bool isPermanent)
    {
        if (_targets.TryGetValue(output, out var target))
            return target;
        target = new PipeTarget(this, _settings, output, isPermanent, _name, _report);
        lock (_lock)
            _targets[output] = target;
        return target;
    }
}
