using System.Text;
using BenchmarkDotNet.Attributes;
using Hikyaku.Forward;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;

namespace Hikyaku.Benchmarks;

/// <summary>Ten patterns that each line is looked at for, and nearly none has: what an access log is searched for.</summary>
public abstract class TenRules : LineBenchmark
{
    private static readonly LineSource Source = new([.. "web-1.example.com"u8], [.. "apache/access.log"u8], 4321, 1000);

    private readonly Counted _chunk = new();
    private LineRules _rules = null!;
    private byte[] _text = [];

    internal abstract RuleSettings Settings { get; }

    [GlobalSetup]
    public override void Setup()
    {
        _rules = LineRules.Of(Settings)!;
        var random = new Random(1);
        var text = new StringBuilder();
        for (var i = 0; i < Lines; i++)
        {
            var line = $"192.0.2.{random.Next(256)} - - [22/Nov/2025:04:{random.Next(10, 60)}:58 +0000] \"GET /index{random.Next(1000)}.html?user={random.Next(100_000)} HTTP/1.1\" 200 {random.Next(100_000)} \"-\" \"Mozilla/5.0 (X11; Linux) ";
            text.Append(line.PadRight(Bytes - 2, '.')[..(Bytes - 2)]).Append("\"\n");
        }

        _text = Encoding.UTF8.GetBytes(text.ToString());
    }

    [Benchmark(OperationsPerInvoke = Lines)]
    public override void Run()
    {
        _chunk.Begin();
        _rules.Pass(_chunk, new LineBlock(Source, 1, _text.AsSpan(..^1), Lines));
        if (_chunk.Lines != Lines)
            throw new InvalidDataException($"{_chunk.Lines} lines came out of {Lines}");
    }

    public override void Dispose()
    {
        // Holds memory only.
    }

    private sealed class Counted : Chunk
    {
        public override bool IsFull => false;

        public override bool IsOverfull => false;

        public void Begin() => Reset();

        public override bool TryWriteNote(ByteBuffer target) => true;

        protected override void Pack(in LineBlock lines)
        {
        }
    }
}

/// <summary>Ten regular expressions of .NET.</summary>
public sealed class TenRegex : TenRules
{
    internal override RuleSettings Settings { get; } = new()
    {
        Deny =
        [
            .. new[]
            {
                "\" 5\\d\\d ", "(?i)(select|union).*from", "\\.(png|jpe?g|gif|css|js)[\"? ]", "^10\\.\\d+\\.\\d+\\.\\d+ ", "\"(PUT|DELETE|PATCH) ",
                "bot|crawler|spider", "password=[^& ]+", "HTTP/1\\.0\"", "\\s\\d{7,}\\s", "/admin(/|$)",
            }.Select(static p => new PatternSettings(PatternKind.Regex, p)),
        ],
    };
}

/// <summary>The same ten as POSIX expressions.</summary>
public sealed class TenPosix : TenRules
{
    internal override RuleSettings Settings { get; } = new()
    {
        Deny =
        [
            .. new[]
            {
                "\" 5[0-9][0-9] ", "([Ss][Ee][Ll][Ee][Cc][Tt]|[Uu][Nn][Ii][Oo][Nn]).*[Ff][Rr][Oo][Mm]", "\\.(png|jpe?g|gif|css|js)[\"? ]",
                "^10\\.[0-9]+\\.[0-9]+\\.[0-9]+ ", "\"(PUT|DELETE|PATCH) ", "bot|crawler|spider", "password=[^& ]+", "HTTP/1\\.0\"",
                "[[:space:]][0-9]{7,}[[:space:]]", "/admin(/|$)",
            }.Select(static p => new PatternSettings(PatternKind.Posix, p)),
        ],
    };
}

/// <summary>Something in every line is replaced, by either language.</summary>
public sealed class TwoRewrites : TenRules
{
    internal override RuleSettings Settings { get; } = new()
    {
        Rewrite =
        [
            new RewriteSettings(new PatternSettings(PatternKind.Regex, "user=\\d+"), "user=*"),
            new RewriteSettings(new PatternSettings(PatternKind.Posix, "^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+"), "-"),
        ],
    };
}
