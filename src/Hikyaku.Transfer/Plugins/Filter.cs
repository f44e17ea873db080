using System.Globalization;

namespace Hikyaku.Transfer.Plugins;

/// <summary>
/// A process of the user's that answers every line, in order, with a line or with nothing. One that dies, stays silent for too long or
/// answers what was not asked is replaced, and the next one is given all lines of the request again.
/// </summary>
internal sealed class Filter : IDisposable
{
    private const string Closed = "has closed its standard output";
    private const int ThreadStackBytes = 256 << 10;
    private const int HeardBytes = 64 << 10;

    // What stands for one line, and for all that were asked at once.
    private const int AnswerBytesMax = 8 << 20, AnswersBytesMax = 128 << 20;

    private static readonly TimeSpan PauseMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PauseMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Forever = TimeSpan.FromHours(1);

    private readonly FilterSettings _settings;
    private readonly string _name;
    private readonly Action<string> _report;
    private readonly Action _changed;
    private readonly PluginBell _bell = new();
    private readonly Lock _lock = new();
    private readonly Queue<FilterRequest> _requests = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private byte[] _heard = new byte[HeardBytes];
    private int _heardLength;
    private volatile bool _isStopping;
    private bool _hasAnswered; // the process that runs
    private string _problem = "";
    private long _lines, _bytes, _repeats;

    public Filter(FilterSettings settings, string name, Action changed, Action<string> report)
    {
        _settings = settings;
        _name = $"{name}: filter {settings.Command.Name}";
        _changed = changed;
        _report = report;
        new Thread(Run, ThreadStackBytes) { IsBackground = true, Name = "filter" }.Start();
    }

    public void Ask(FilterRequest request)
    {
        lock (_lock)
            _requests.Enqueue(request);
        _bell.Ring();
    }

    public ReceiverStatus Status()
    {
        lock (_lock)
            return new ReceiverStatus("filter " + _settings.Command.Name, _problem.Length == 0, _problem, _lines, _bytes, _requests.Count, _repeats);
    }

    public Task StopAsync()
    {
        _isStopping = true;
        _bell.Ring();
        return _ended.Task;
    }

    public void Dispose() => _bell.Dispose();

    private void Run()
    {
        var pause = TimeSpan.Zero;
        while (!_isStopping)
        {
            var until = Environment.TickCount64 + (long)pause.TotalMilliseconds;
            while (!_isStopping && Environment.TickCount64 is var now && now < until)
                _bell.Wait(TimeSpan.FromMilliseconds(until - now));
            if (_isStopping)
                break;
            string fault;
            _hasAnswered = false;
            try
            {
                fault = RunProcess();
            }
            catch (IOException e)
            {
                fault = e.Message;
            }

            if (_isStopping)
                break;
            pause = _hasAnswered || pause == TimeSpan.Zero ? PauseMin : pause * 2 < PauseMax ? pause * 2 : PauseMax;
            Blame(fault, pause);
        }

        _ended.SetResult();
    }

    private void Blame(string fault, TimeSpan pause)
    {
        var again = "";
        lock (_lock)
        {
            _problem = fault;
            if (_requests.TryPeek(out var request))
            {
                request.BeginAnew();
                again = string.Create(CultureInfo.InvariantCulture, $", and giving it {request.Count} lines again");
                _repeats++;
            }
        }

        _report($"{_name}: {fault}; starting it again in {pause.TotalSeconds:0.#} s{again}");
    }

    private string RunProcess()
    {
        _heardLength = 0;
        using var process = new PluginProcess(_settings.Command, -1, readsOutput: true, _bell, _name, _report);
        var fault = Serve(process);
        if (fault is not null)
            process.Kill(Libc.SIGKILL);
        return fault ?? process.Reap() ?? "ended by itself, with status 0";
    }

    // Null: it has ended.
    private string? Serve(PluginProcess process)
    {
        var written = 0;
        var isWhole = true; // it reads
        FilterRequest? asked = null;
        var progress = Environment.TickCount64;
        while (true)
        {
            if (_isStopping)
                process.CloseIn(_settings.Patience);
            FilterRequest? request;
            lock (_lock)
                _ = _requests.TryPeek(out request);
            if (request != asked)
                (asked, written, progress) = (request, 0, Environment.TickCount64);

            while (isWhole && !process.IsClosed && request is not null && written < request.Questions.Length)
            {
                var count = process.Write(request.Questions.Written[written..]);
                if (count <= 0)
                {
                    isWhole = count == 0;
                    break;
                }

                written += count;
            }

            var answers = request?.Lengths.Count ?? 0;
            if (Hear(process, request, out var hears) is { } fault)
            {
                if (!_isStopping)
                    return EndsNow(process) ? null : fault;
                // What it still says is nobody's any more, and must not keep it from being ended.
                (_heardLength, hears) = (0, false);
            }

            if (request is not null && request.Lengths.Count > answers)
                progress = Environment.TickCount64;
            if (request is not null && request.Lengths.Count == request.Count)
            {
                Finish(request);
                continue;
            }

            var left = request is null || _isStopping ? Forever : _settings.Timeout - TimeSpan.FromMilliseconds(Environment.TickCount64 - progress);
            if (left <= TimeSpan.Zero)
                return Silent(request!);
            var toWrite = isWhole && request is not null && written < request.Questions.Length;
            if (!hears && process.Wait(toWrite, left))
            {
                // What it said last is worth as much as what it said before.
                string? last;
                do
                    last = Hear(process, request, out hears);
                while (last is null && hears);
                if (last is not null and not Closed && !_isStopping)
                    return last;
                if (request is not null && request.Lengths.Count == request.Count)
                    Finish(request);
                return null;
            }
        }
    }

    // Its output ends a moment before it does, and how it ended says more.
    private bool EndsNow(PluginProcess process)
    {
        for (var i = 0; i < 10 && !_isStopping; i++)
        {
            if (process.Wait(toWrite: false, TimeSpan.FromMilliseconds(20)))
                return true;
        }

        return false;
    }

    private void Finish(FilterRequest request)
    {
        lock (_lock)
        {
            _requests.Dequeue();
            _problem = "";
            _lines += request.Lengths.Count(static l => l > 0);
            _bytes += request.Answers.Length;
        }

        _hasAnswered = true;
        request.IsAnswered = true;
        _changed();
    }

    private string Silent(FilterRequest request)
    {
        var hint = _settings.Framing == Framing.Length ? "" : ". A filter answers each line with one line at once, an empty one to drop it: grep leaves lines out, and most programs hold back what "
            + "they print into a pipe unless they are told not to (sed -u, awk with fflush())";
        return string.Create(CultureInfo.InvariantCulture,
            $"has answered {request.Lengths.Count} of {request.Count} lines and no more for {_settings.Timeout.TotalSeconds:0.#} s, and is ended{hint}");
    }

    // Returns what is wrong with what it says.
    private string? Hear(PluginProcess process, FilterRequest? request, out bool hears)
    {
        if (_heardLength == _heard.Length)
            Array.Resize(ref _heard, 2 * _heard.Length);
        var count = process.Read(_heard.AsSpan(_heardLength));
        hears = count > 0;
        if (count < 0)
            return Closed;
        _heardLength += count;
        ReadOnlySpan<byte> rest = _heard.AsSpan(0, _heardLength);
        while (TryTake(ref rest, out var answer, out var isNone))
        {
            if (isNone)
                return "answers with something else than a length, in digits and with a line end, and so many bytes";
            if (request is null || request.Lengths.Count == request.Count)
                return "answers more than it was asked: one answer for each line is expected";
            request.Lengths.Add(answer.Length);
            request.Answers.Append(answer);
            if (request.Answers.Length > AnswersBytesMax)
                return $"answers with more than {AnswersBytesMax >> 20} MiB";
        }

        if (rest.Length > AnswerBytesMax)
            return $"answers a line with more than {AnswerBytesMax >> 20} MiB";
        rest.CopyTo(_heard);
        _heardLength = rest.Length;
        return null;
    }

    private bool TryTake(ref ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> answer, out bool isNone)
    {
        isNone = false;
        if (_settings.Framing == Framing.Line)
        {
            var end = bytes.IndexOf((byte)'\n');
            answer = end < 0 ? default : bytes[..end];
            bytes = bytes[(end + 1)..];
            return end >= 0;
        }

        var rest = bytes;
        answer = default;
        if (!Frame.TryReadHead(ref rest, out var length))
            return isNone = length < 0;
        if (rest.Length < length)
        {
            isNone = length > AnswerBytesMax;
            return isNone;
        }

        answer = rest[..length];
        bytes = rest[length..];
        return true;
    }
}
