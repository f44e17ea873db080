using System.Diagnostics;

namespace Hikyaku.Fuzz;

/// <summary>Rounds of one target, until one fails.</summary>
internal sealed class FuzzRun(FuzzTarget target, TextWriter output)
{
    // Rounds take milliseconds; the rest is for machines that are busy with something else.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    // Deep recursion over an input must show on a stack of the usual size.
    private const int StackBytes = 1 << 20;

    private readonly Lock _gate = new();
    private string _name = "";
    private byte[] _input = [];
    private long _round;
    private (TimeSpan Time, string Name) _slowest;
    private bool _isOver;

    /// <summary>Whether the input of a failure, or of a crash of the whole process, is left in the working directory.</summary>
    public bool LeavesInput { get; init; }

    /// <summary>Rounds begun so far.</summary>
    public long Rounds => Volatile.Read(ref _round);

    /// <summary>Runs the inputs that found a bug once.</summary>
    public bool ReplayKept() =>
        Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "seeds"), $"{target.Name}-*").Order(StringComparer.Ordinal).All(Replay);

    /// <summary>Runs the content of a file.</summary>
    public bool Replay(string file)
    {
        var isFresh = true;
        return Loop(() => isFresh && !(isFresh = false) ? ($"input {Path.GetFileName(file)}", File.ReadAllBytes(file)) : null);
    }

    /// <summary>Runs rounds, each of its own seed: the first of the seed given, then counted up.</summary>
    public bool Go(ulong seed, long rounds, Func<bool> goesOn)
    {
        var last = LeavesInput ? new FileStream($"fuzz-{target.Name}-last.bin", FileMode.Create) : null;
        var before = Rounds;
        var isGood = Loop(() =>
        {
            var round = Rounds - before;
            if (round == rounds || !goesOn())
                return null;
            var own = seed + (ulong)round;
            var input = target.Make(new Dice(own));
            // The only trace, should the process die of this round.
            last?.SetLength(0);
            last?.Write(input);
            last?.Flush();
            return ($"{own}", input);
        });
        if (last is not null)
        {
            last.Dispose();
            File.Delete(last.Name);
        }
        if (isGood)
            output.WriteLine($"{target.Name}: {Rounds - before} rounds from seed {seed}, the slowest {_slowest.Name} ({_slowest.Time.TotalMilliseconds:0} ms)");
        return isGood;
    }

    private bool Loop(Func<(string Name, byte[] Input)?> next)
    {
        Exception? failure = null;
        _isOver = false;
        var thread = new Thread(() => failure = RunAll(next), StackBytes) { IsBackground = true, Name = target.Name };
        thread.Start();
        for (var seen = -1L; !thread.Join(Patience); seen = Rounds)
        {
            lock (_gate)
            {
                if (seen != Rounds)
                    continue;
                // What comes of it later is of no interest any more.
                _isOver = true;
                failure = new BrokenPromise($"a round does not end: it has gone on for {Patience.TotalSeconds:0} s and more");
                break;
            }
        }
        if (failure is not null)
            Report(failure);
        return failure is null;
    }

    private Exception? RunAll(Func<(string Name, byte[] Input)?> next)
    {
        try
        {
            while (next() is { } round)
            {
                lock (_gate)
                {
                    if (_isOver)
                        return null;
                    (_name, _input) = round;
                    Volatile.Write(ref _round, _round + 1);
                }
                var begin = Stopwatch.GetTimestamp();
                target.Run(round.Input);
                if (Stopwatch.GetElapsedTime(begin) is var time && time > _slowest.Time)
                    _slowest = (time, round.Name);
            }
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    private void Report(Exception failure)
    {
        var isSeed = char.IsAsciiDigit(_name[0]);
        output.WriteLine($"{target.Name} FAILED in round {Rounds}, {(isSeed ? "seed " : "")}{_name}, with {_input.Length} bytes of input:");
        output.WriteLine(failure is BrokenPromise ? failure.Message : failure.ToString());
        if (!LeavesInput || !isSeed)
            return;
        var file = $"fuzz-{target.Name}-{_name}.bin";
        File.WriteAllBytes(file, _input);
        output.WriteLine($"again: {target.Name} --seed {_name} --rounds 1, or {target.Name} {Path.GetFullPath(file)}");
    }
}
