using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Intake;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Outputs;
using Hikyaku.Transfer.Rules;
using Hikyaku.Transfer.Servers;

namespace Hikyaku.Transfer;

/// <summary>
/// The transfer: one pump per log and output, and the intake from other hosts. Harmless to kill and to start again: all it
/// must remember is in the journals beside the cursors.
/// </summary>
public sealed class TransferProcess
{
    /// <summary>The name under which routes know the log of what other hosts sent.</summary>
    public const string ReceiveLog = "receive";

    private const string Forward = "forward", FileTree = "file", Pipe = "pipe";
    private static readonly TimeSpan LogWaitTime = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan RestartTime = TimeSpan.FromSeconds(1);

    private readonly TransferSettings _settings;
    private readonly Lock _lock = new();
    private readonly List<Pump> _pumps = [];
    private readonly Dictionary<string, ServerList> _servers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Slices> _slices = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FileGate> _gates = new(StringComparer.Ordinal);
    private string[] _abandoned = [];
    private ReceiveIntake? _intake;
    private Listener? _listener;
    private Admission? _admission;

    public TransferProcess(TransferSettings settings) => _settings = settings;

    /// <summary>Names of the pumps that read <paramref name="log"/>: the cursors that hold its records back.</summary>
    public static IReadOnlyList<string> Cursors(IReadOnlyList<RouteSettings> routes, string log) =>
        [.. routes.Where(r => Reads(r, log)).SelectMany(static r => PumpNames(r))];

    public TransferStatus Status()
    {
        lock (_lock)
            return new TransferStatus
            {
                Pumps = [.. _pumps.Select(static p => p.Status())],
                Receive = _intake?.Status(_listener!.Connections) is { } receive ? receive with { Admission = _admission?.Status() } : null,
                AbandonedCursors = _abandoned,
            };
    }

    /// <summary>Runs until cancelled. Throws ForwardException or LogException with a message for people when it cannot start.</summary>
    public async Task RunAsync(CancellationToken cancel)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var tasks = new List<Task>();
        var tails = new List<LogTail>();
        if (_settings.Receive is { } receive)
            StartReceive(receive, tasks, stop.Token);
        foreach (var mount in _settings.Mounts)
        {
            var tail = _settings.Tail(_settings, mount);
            tails.Add(tail);
            foreach (var route in _settings.Routes.Where(r => Reads(r, mount.Name)))
                StartPumps(route, mount.Name, tail, mount.Commit, tasks, stop.Token);
        }

        // Routes do not change while this process lives, so one look is enough.
        _abandoned = AbandonedCursors();
        foreach (var cursor in _abandoned)
            _settings.Report($"{cursor}: no route uses this cursor, and it holds lines back from being retired; if they are not wanted any more, stop, remove this file, and start again");

        // Any of them ends only by cancellation, by a fault that nothing can be done about here, or by a bug.
        var ended = new TaskCompletionSource();
        var watched = tasks.Select(task => WatchAsync(task, ended)).ToArray();
        try
        {
            await using (cancel.UnsafeRegister(static ended => ((TaskCompletionSource)ended!).TrySetResult(), ended))
                await ended.Task;
        }
        finally
        {
            stop.Cancel();
            await Task.WhenAll(watched);
            foreach (var tail in tails)
                tail.Dispose();
            _intake?.Dispose();
        }
    }

    private static async Task WatchAsync(Task task, TaskCompletionSource ended)
    {
        try
        {
            await task;
            ended.TrySetResult();
        }
        catch (OperationCanceledException)
        {
            ended.TrySetResult();
        }
        catch (Exception e)
        {
            ended.TrySetException(e);
        }
    }

    private static bool Reads(RouteSettings route, string log) => route.From.Count == 0 || route.From.Contains(log, StringComparer.Ordinal);

    private static IEnumerable<string> PumpNames(RouteSettings route)
    {
        if (route.Forward is { } forward)
            yield return forward.Deliver == DeliverMode.Broadcast ? Broadcast.GateName(PumpName(route, Forward)) : PumpName(route, Forward);
        if (route.File is not null)
            yield return PumpName(route, FileTree);
        if (route.Pipe is not null)
            yield return PumpName(route, Pipe);
    }

    private static string PumpName(RouteSettings route, string output) => $"{route.Name}-{output}";

    private void StartReceive(ReceiveSettings receive, List<Task> tasks, CancellationToken cancel)
    {
        var tail = new LogTail();
        if (!ForwardAddress.TryParse(receive.Listen, out var address, out var problem))
            throw new ForwardException($"cannot listen on {receive.Listen}: {problem}");
        _listener = _settings.Network.Listen(address, _settings.Report);
        var options = new LogOptions
        {
            QuotaBytes = receive.QuotaBytes,
            WhenFull = receive.WhenFull,
            CursorDirectory = CursorDirectory(ReceiveLog),
            Cursors = Cursors(_settings.Routes, ReceiveLog),
            TimeProvider = _settings.Time,
            Disk = _settings.Disk,
            Report = _settings.Report,
        };
        _settings.Disk.MakeDirectory(Path.Combine(_settings.StateDirectory, "logs"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        _intake = new ReceiveIntake(receive, Storage(ReceiveLog), options, tail, _settings.Time, _settings.Report);
        tasks.Add(_intake.RunAsync(cancel));
        if (receive.Admission is { } admission)
        {
            // With the port: senders refuse a receiver that has their own name, and both may be on one host.
            _admission = new Admission(admission, $"{_settings.Host}:{address.Port}", _settings.Lookup, _settings.Nonces, _settings.Time, _settings.Report);
            tasks.Add(_admission.WatchAsync(cancel));
        }

        tasks.Add(_listener.RunAsync(new ForwardServer(_intake.ReceiveAsync, _settings.Report, time: _settings.Time, admission: _admission), cancel));
        foreach (var route in _settings.Routes.Where(r => Reads(r, ReceiveLog)))
            StartPumps(route, ReceiveLog, tail, receive.Commit, tasks, cancel);
    }

    // One for all logs of a route.
    private ServerList ServersOf(string route, ForwardOutputSettings forward, List<Task> tasks, CancellationToken cancel)
    {
        if (_servers.TryGetValue(route, out var list))
            return list;
        _servers[route] = list = new ServerList(route, forward, _settings.Disk, _settings.Time, _settings.Srv, _settings.Report);
        if (forward.IsChanging)
            tasks.Add(list.RunAsync(cancel));
        return list;
    }

    private void StartPumps(RouteSettings route, string log, LogTail tail, CommitLevel commit, List<Task> tasks, CancellationToken cancel)
    {
        if (route.Forward is { } forward)
        {
            if (!Compressor.IsAvailable(forward.Compress))
                _settings.Report($"route {route.Name}: libzstd.so.1 (package libzstd1) is missing; chunks are compressed with gzip instead of zstd");
            var settings = Settings(Forward, commit == CommitLevel.Strict);
            var dial = Dialling(forward, tasks, cancel);
            var servers = ServersOf(route.Name, forward, tasks, cancel);
            if (forward.Deliver == DeliverMode.Broadcast)
                tasks.Add(new Broadcast(settings.Name, settings.CursorDirectory, forward.IsChanging, servers,
                    (server, stop) => Keep(settings with { Name = Broadcast.PumpName(settings.Name, server.Address) }, ServerList.Of(server), servers, stop),
                    Forget, _settings.Disk, _settings.Time, _settings.Report).RunAsync(cancel));
            else
                tasks.Add(Keep(settings, servers, servers, cancel));

            Task Keep(PumpSettings pump, ServerList list, ServerList named, CancellationToken stop) => KeepPumpAsync(pump, route, tail, journal => Filtered(new ForwardOutput(
                forward, list, named, journal.Series, settings.Name, "hikyaku." + log, dial, _settings.Time, _settings.Random, _settings.Report)), stop);

            void Forget(string pump)
            {
                lock (_lock)
                    _pumps.RemoveAll(p => string.Equals(p.Name, pump, StringComparison.Ordinal) && string.Equals(p.Log, log, StringComparison.Ordinal));
            }
        }

        if (route.File is { } file)
        {
            // A file is as durable as the log it takes lines over from.
            var isDurable = commit != CommitLevel.Process;
            var settings = Settings(FileTree, isDurable);
            var pump = log + "/" + settings.Name;
            if (!_gates.TryGetValue(file.Path, out var gate))
                _gates[file.Path] = gate = new FileGate();
            // Whoever has something to repeat comes first; a log that is not there yet has not.
            if (_settings.Disk.TryStat(settings.Journal, out _, out _))
                gate.Expect(pump);
            // Behind the gate: what must be repeated is repeated first.
            if (file.Slices is { } kept && !_slices.ContainsKey(file.Path))
                tasks.Add((_slices[file.Path] = new Slices(file.Path, kept, gate, TimeZoneInfo.Local, _settings.Time, _settings.Report)).RunAsync(cancel));
            tasks.Add(KeepPumpAsync(settings, route, tail, journal => Filtered(new FileOutput(
                file, pump, gate, _settings.Disk, isDurable, journal.IsOfEarlierBoot, TimeZoneInfo.Local, _settings.Time, _settings.Report) { Slices = _slices.GetValueOrDefault(file.Path) }), cancel));
        }

        if (route.Pipe is { } pipe)
            tasks.Add(KeepPumpAsync(Settings(Pipe, syncJournal: false), route, tail, _ => Filtered(new PipeOutput(pipe, "route " + route.Name, TimeZoneInfo.Local, _settings.Report)), cancel));

        Output Filtered(Output output) => route.Filter is { } filter ? new FilteredOutput(output, filter, "route " + route.Name, _settings.Report) : output;

        PumpSettings Settings(string output, bool syncJournal) => new(PumpName(route, output), route.Name, log, output, CursorDirectory(log),
            SyncJournal: syncJournal) { OutlivesPower = commit != CommitLevel.Process, Expire = route.Rules.Expire, Batch = route.Rules.Batch };
    }

    // A pump that meets a fault of the disk, or a chunk that cannot be made, is taken down and started again: its restart is its recovery.
    private async Task KeepPumpAsync(PumpSettings settings, RouteSettings route, LogTail tail, Func<Journal, Output> output, CancellationToken cancel)
    {
        await Task.Yield();
        using var backing = BackingOf(settings.Log);
        var last = "";
        while (true)
        {
            try
            {
                await RunPumpAsync(settings, route, backing, tail, output, cancel);
                return;
            }
            catch (Exception e) when (e is IOException or ForwardException)
            {
                if (!string.Equals(last, e.Message, StringComparison.Ordinal))
                    _settings.Report($"route {settings.Name} of {settings.Log}: {e.Message}; starting it again every second");
                last = e.Message;
            }

            await Task.Delay(RestartTime, _settings.Time, cancel);
        }
    }

    private async Task RunPumpAsync(PumpSettings settings, RouteSettings route, BackingFiles? backing, LogTail tail, Func<Journal, Output> output, CancellationToken cancel)
    {
        var storage = Storage(settings.Log);
        LineReader reader;
        ulong bootStart;
        // The writer makes the first segment, whose header holds the log's identity, and says what is new since the machine was booted.
        while ((reader = MakeReader(settings, route, backing, storage)).Log == Guid.Empty
            || !TryFindBootStart(storage, out bootStart))
        {
            reader.Dispose();
            await Task.Delay(LogWaitTime, _settings.Time, cancel);
        }

        await using var pump = await MakePumpAsync(settings, reader, bootStart, output, tail);
        lock (_lock)
            _pumps.Add(pump);
        try
        {
            await pump.RunAsync(cancel);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // One that was merely stopped stays, for the last status.
            lock (_lock)
                _pumps.Remove(pump);
            throw;
        }
    }

    private LineReader MakeReader(PumpSettings settings, RouteSettings route, BackingFiles? backing, ILogStorage storage) =>
        new(storage, _settings.Host, new PathMatch(route.Match, route.Rules.Except), ReadableEnd(settings.Log), _settings.Report)
        {
            Backing = backing,
            Rules = LineRules.Of(route.Rules),
            IsMessage = route.Rules.IsMessage,
        };

    private BackingFiles? BackingOf(string log) =>
        _settings.Mounts.FirstOrDefault(m => string.Equals(m.Name, log, StringComparison.Ordinal))?.BackingDirectory is { } directory
            ? new BackingFiles(_settings.Disk, directory) : null;

    // What is not on the disk yet is not acknowledged: after a loss of power it comes again, and must not have gone further before.
    private Func<ulong>? ReadableEnd(string log) => log == ReceiveLog && _settings.Receive!.Commit == CommitLevel.Strict ? () => _intake!.Committed : null;

    // False: the writer of the log has not begun since the machine was booted.
    private bool TryFindBootStart(ILogStorage storage, out ulong bootStart)
    {
        if (BootMark.Read(storage, out bootStart) is { } boot)
            return boot == _settings.Disk.Boot;
        // There was no room for a mark, ever.
        bootStart = ulong.MaxValue;
        return true;
    }

    private async ValueTask<Pump> MakePumpAsync(PumpSettings settings, LineReader reader, ulong bootStart, Func<Journal, Output> makeOutput, LogTail tail)
    {
        Journal? journal = null;
        Output? output = null;
        try
        {
            _settings.Disk.MakeDirectory(settings.CursorDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            journal = Journal.Load(settings.Journal, settings.Cursor, reader.Log, bootStart, _settings.Disk, settings.SyncJournal, _settings.Report);
            output = makeOutput(journal);
            return new Pump(settings, reader, journal, output, tail, _settings.Disk, _settings.Time, _settings.Report);
        }
        catch
        {
            if (output is not null)
                await output.DisposeAsync();
            journal?.Dispose();
            reader.Dispose();
            throw;
        }
    }

    private Dial Dialling(ForwardOutputSettings forward, List<Task> tasks, CancellationToken cancel)
    {
        if (forward.Credentials is not { } shown)
            return (server, given) => _settings.Network.DialAsync(Address(server), given);
        var credentials = new Credentials(shown, _settings.Host, _settings.Nonces, _settings.Time, _settings.Report);
        tasks.Add(credentials.WatchAsync(cancel));
        return async (server, given) => await credentials.OpenAsync(await _settings.Network.DialAsync(Address(server), given), Address(server).Host, given);
    }

    private static ForwardAddress Address(string server) =>
        ForwardAddress.TryParse(server, out var address, out var problem) ? address : throw new ForwardException(problem);

    private string[] AbandonedCursors()
    {
        var logs = _settings.Mounts.Select(static m => m.Name).Append(ReceiveLog);
        return [.. logs.SelectMany(log =>
            _settings.Disk.List(CursorDirectory(log)).Where(static file => file.EndsWith(".cursor", StringComparison.Ordinal))
                .Where(file => !IsUsed(Path.GetFileNameWithoutExtension(file), log)))];
    }

    private bool IsUsed(string cursor, string log) => Cursors(_settings.Routes, log).Contains(cursor, StringComparer.Ordinal)
        || _settings.Routes.Any(r => Reads(r, log) && r.Forward is { Deliver: DeliverMode.Broadcast } forward
            && Broadcast.GateName(PumpName(r, Forward)) is var gate && cursor.StartsWith(gate, StringComparison.Ordinal)
            && (forward.IsChanging || forward.Servers.Any(s => cursor.EndsWith("@" + s.Address, StringComparison.Ordinal))));

    private string CursorDirectory(string log) => Path.Combine(_settings.StateDirectory, "cursors", log);

    private ILogStorage Storage(string log) => _settings.Disk.Log(Path.Combine(_settings.StateDirectory, "logs", log));
}
