namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A system logger that reads files of an ordinary directory and sends their lines to a second one, which writes one file.</summary>
internal sealed class TailerStreet : MeasuredSystem
{
    private static readonly TimeSpan StartTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan TimeToLookAround = TimeSpan.FromSeconds(1);

    private readonly List<ChildProgram> _programs = [];

    /// <param name="start">Starts one of the two with its work directory, which also holds its configuration.</param>
    public TailerStreet(string name, string work, Func<string, ChildProgram> start, Func<TailerPlaces, string> sender, Func<TailerPlaces, string> receiver)
    {
        Name = name;
        Directory = System.IO.Directory.CreateDirectory(Path.Combine(work, "logs")).FullName;
        Output = Path.Combine(work, "all.log");
        var port = FreePort();
        try
        {
            foreach (var (role, text) in new[] { ("receiver", receiver), ("sender", sender) })
            {
                var own = System.IO.Directory.CreateDirectory(Path.Combine(work, role)).FullName;
                File.WriteAllText(Path.Combine(own, "conf"), text(new TailerPlaces(own, Directory, Output, port)));
                _programs.Add(start(own));
                AwaitListener(port);
            }

            // Neither says when it has begun.
            Thread.Sleep(TimeToLookAround);
            _programs.ForEach(static p => p.Check());
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override string Name { get; }

    public override string Directory { get; }

    public override string Output { get; }

    public override bool HasDied => _programs.Exists(static p => p.HasExited);

    public override void Dispose() => Enumerable.Reverse(_programs).ToList().ForEach(static p => p.Dispose());

    // Looked up instead of tried: a connection would be one more sender.
    private void AwaitListener(int port)
    {
        var end = DateTime.UtcNow + StartTime;
        while (!File.ReadLines("/proc/net/tcp").Any(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var local, _, "0A", ..] && local.EndsWith($":{port:X4}", StringComparison.Ordinal)))
        {
            _programs.ForEach(static p => p.Check());
            if (DateTime.UtcNow > end)
                throw new ComparisonException($"nobody listens within {StartTime.TotalSeconds} s:\n{_programs[0].Said()}");
            Thread.Sleep(20);
        }
    }
}

/// <summary>What the configuration of a tailer names.</summary>
internal readonly record struct TailerPlaces(string Own, string Logs, string Output, int Port);
