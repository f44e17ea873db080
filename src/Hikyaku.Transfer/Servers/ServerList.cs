using System.Text;
using Hikyaku.Log;

namespace Hikyaku.Transfer.Servers;

/// <summary>
/// The servers of one route as they are at present: those of the configuration, of a file that is looked at four times a second, and of
/// SRV records that are asked for again when their time is over. What cannot be used changes nothing: the last good list holds.
/// </summary>
internal sealed class ServerList
{
    private const int FileBytesMax = 1 << 20;
    private const int ReadBytes = 16 << 10;
    private static readonly TimeSpan LookTime = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan AskTimeMin = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskTimeMax = TimeSpan.FromMinutes(5);

    private readonly string _route;
    private readonly ForwardOutputSettings _settings;
    private readonly Disk _disk;
    private readonly TimeProvider _time;
    private readonly SrvLookup _lookUp;
    private readonly Action<string> _report;
    private readonly Lock _lock = new();
    private Action[] _told = [];
    private IReadOnlyList<TargetServer> _current;
    private IReadOnlyList<TargetServer>? _ofFile;
    private IReadOnlyList<TargetServer>? _ofSrv;
    private byte[] _fileBytes = [];
    private string _fileProblem = "";
    private string _srvProblem = "";

    /// <param name="route">Who the list is for.</param>
    /// <param name="settings">Where the servers are named.</param>
    /// <param name="disk">Where the file is.</param>
    /// <param name="time">Of this machine.</param>
    /// <param name="lookUp">Asks for SRV records.</param>
    /// <param name="report">Takes what people should know.</param>
    public ServerList(string route, ForwardOutputSettings settings, Disk disk, TimeProvider time, SrvLookup lookUp, Action<string> report)
    {
        (_route, _settings, _disk, _time, _lookUp, _report) = (route, settings, disk, time, lookUp, report);
        _current = settings.Servers;
        Look();
    }

    /// <summary>Servers that never change.</summary>
    public static ServerList Of(params IReadOnlyList<TargetServer> servers) =>
        new("", new ForwardOutputSettings(servers), Disk.OfThisMachine, TimeProvider.System, static (_, _) => throw new IOException(), static _ => { });

    /// <summary>Another object whenever it is another list.</summary>
    public IReadOnlyList<TargetServer> Current => Volatile.Read(ref _current);

    /// <summary>Whether all that name servers have done so, now or before.</summary>
    public bool IsComplete => (_settings.File is null || _ofFile is not null) && (_settings.Srv is null || _ofSrv is not null);

    public string Source => string.Join(" and ", new[]
    {
        _settings.Servers.Count > 0 || !_settings.IsChanging ? "configuration" : null, _settings.File?.Path, _settings.Srv is { } name ? "SRV " + name : null,
    }.OfType<string>());

    public string Problem => string.Join("; ", new[] { Volatile.Read(ref _fileProblem), Volatile.Read(ref _srvProblem) }.Where(static p => p.Length > 0));

    /// <summary>Has it called, from any thread, when there is another list.</summary>
    public void Add(Action changed)
    {
        lock (_lock)
            _told = [.. _told, changed];
    }

    public void Remove(Action changed)
    {
        lock (_lock)
            _told = [.. _told.Where(t => t != changed)];
    }

    /// <summary>Looks and asks until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        await Task.Yield();
        await Task.WhenAll(WatchAsync(cancel), AskAsync(cancel));
    }

    private async Task WatchAsync(CancellationToken cancel)
    {
        while (_settings.File is not null)
        {
            await Task.Delay(LookTime, _time, cancel);
            Look();
        }
    }

    private async Task AskAsync(CancellationToken cancel)
    {
        while (_settings.Srv is { } name)
        {
            var pause = AskTimeMin;
            try
            {
                var answer = await _lookUp(name, cancel);
                pause = answer.TimeToLive < AskTimeMin ? AskTimeMin : answer.TimeToLive > AskTimeMax ? AskTimeMax : answer.TimeToLive;
                if (answer.Records.Count == 0)
                    throw new IOException("there are no SRV records");
                _ofSrv = Servers(answer.Records);
                Blame(ref _srvProblem, "", "");
                Merge();
            }
            catch (IOException e)
            {
                Blame(ref _srvProblem, name, e.Message);
            }

            await Task.Delay(pause, _time, cancel);
        }
    }

    // Whoever has not the lowest priority is for the case that all of those are gone.
    private static TargetServer[] Servers(IReadOnlyList<SrvRecord> records)
    {
        var first = records.Min(static r => r.Priority);
        return [.. records.OrderBy(static r => r.Priority).ThenByDescending(static r => r.Weight).ThenBy(static r => r.Host, StringComparer.Ordinal).ThenBy(static r => r.Port)
            .Select(r => new TargetServer(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{r.Host}:{r.Port}"))
            {
                Weight = Math.Max(1, r.Weight), IsStandby = r.Priority > first,
            })
            .Where(static s => s.Address.Length <= TargetServer.AddressLengthMax)];
    }

    private void Look()
    {
        if (_settings.File is not { } file)
            return;
        try
        {
            var bytes = Read(file.Path);
            if (_fileProblem.Length == 0 && _ofFile is not null && bytes.AsSpan().SequenceEqual(_fileBytes))
                return;
            if (file.Parse(Encoding.UTF8.GetString(bytes), out var problem) is not { } servers)
                throw new IOException(problem);
            if (servers.Count == 0)
                throw new IOException("it names no server");
            (_fileBytes, _ofFile) = (bytes, servers);
            Blame(ref _fileProblem, "", "");
            Merge();
        }
        catch (IOException e)
        {
            Blame(ref _fileProblem, file.Path, e.Message);
        }
    }

    private byte[] Read(string path)
    {
        using var file = _disk.Open(path, Opening.Existing) ?? throw new IOException("there is no such file");
        // Its length is asked of nobody: the name may stand for another file by now.
        var bytes = new byte[ReadBytes];
        for (var length = 0; ;)
        {
            var got = file.Read(bytes.AsSpan(length), length);
            length += got;
            if (length > FileBytesMax)
                throw new IOException($"it has more than {FileBytesMax >> 20} MiB");
            if (length < bytes.Length)
                return bytes[..length];
            Array.Resize(ref bytes, 2 * bytes.Length);
        }
    }

    private void Blame(ref string problem, string where, string what)
    {
        var said = what.Length == 0 ? "" : $"{where}: {what.TrimEnd('.')}";
        if (said.Length > 0 && !string.Equals(said, problem, StringComparison.Ordinal))
            _report($"route {_route}: {said}; {(_current.Count > 0 ? "the servers known so far stay" : "lines wait for a server")}");
        Volatile.Write(ref problem, said);
    }

    private void Merge()
    {
        Action[] told;
        string news;
        // The file and the records are looked at by two.
        lock (_lock)
        {
            if (!TryMerge(out news))
                return;
            told = _told;
        }

        _report(news);
        foreach (var changed in told)
            changed();
    }

    private bool TryMerge(out string news)
    {
        news = "";
        var before = _current;
        TargetServer[] all = [.. _settings.Servers.Concat(_ofFile ?? []).Concat(_ofSrv ?? []).DistinctBy(static s => s.Address, StringComparer.Ordinal)];
        if (all.SequenceEqual(before))
            return false;
        var (came, left) = (Names(all.ExceptBy(before.Select(static s => s.Address), static s => s.Address, StringComparer.Ordinal)),
            Names(before.ExceptBy(all.Select(static s => s.Address), static s => s.Address, StringComparer.Ordinal)));
        Volatile.Write(ref _current, all);
        news = $"route {_route}: {all.Length} servers" + (came.Length > 0 ? "; new: " + came : "") + (left.Length > 0 ? "; gone: " + left : "");
        return true;
    }

    private static string Names(IEnumerable<TargetServer> servers) => string.Join(", ", servers.Select(static s => s.Address));
}
