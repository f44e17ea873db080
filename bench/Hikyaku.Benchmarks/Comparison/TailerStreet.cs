namespace Hikyaku.Benchmarks.Comparison;

/// <summary>A system logger that reads files of an ordinary directory and sends their lines to a second one, which writes one file.</summary>
internal sealed class TailerStreet : MeasuredSystem
{
    private const int Files = 4;
    private static readonly TimeSpan TimeToLookAround = TimeSpan.FromSeconds(1);

    private readonly List<(string Role, ChildProgram Program)> _programs = [];

    /// <param name="work">A directory of its own.</param>
    /// <param name="start">Starts one of the two with its work directory, which also holds its configuration.</param>
    /// <param name="sender">Makes the configuration of the one that reads files.</param>
    /// <param name="receiver">Makes the configuration of the other.</param>
    public TailerStreet(string work, Func<string, ChildProgram> start, Func<TailerPlaces, string> sender, Func<TailerPlaces, string> receiver)
    {
        var way = new Way(System.IO.Directory.CreateDirectory(Path.Combine(work, "logs")).FullName, Path.Combine(work, "all.log"));
        Ways = [way];
        // A file that is there from the beginning is read at once; others are found at the next look around.
        foreach (var file in Enumerable.Range(0, Files).Select(static f => $"w{f}.log").Append("latency.log"))
            File.Create(Path.Combine(way.Directory, file)).Dispose();
        var port = FreePort();
        try
        {
            foreach (var (role, text) in new[] { ("receiver", receiver), ("sender", sender) })
            {
                var own = System.IO.Directory.CreateDirectory(Path.Combine(work, role)).FullName;
                File.WriteAllText(Path.Combine(own, "conf"), text(new TailerPlaces(own, way.Directory, way.Outputs[0], port)));
                _programs.Add((role, start(own)));
                AwaitListener(port, _programs[0].Program);
            }

            // Neither says when it has begun.
            Thread.Sleep(TimeToLookAround);
            _programs.ForEach(static p => p.Program.Check());
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override IReadOnlyList<Way> Ways { get; }

    public override IEnumerable<(string Role, int Pid)> Processes => _programs.Where(static p => !p.Program.HasExited).Select(static p => (p.Role, p.Program.Id));

    public override bool HasDied => _programs.Exists(static p => p.Program.HasExited);

    public override void Dispose() => Enumerable.Reverse(_programs).ToList().ForEach(static p => p.Program.Dispose());
}

/// <summary>What the configuration of a tailer names.</summary>
internal readonly record struct TailerPlaces(string Own, string Logs, string Output, int Port);
