namespace Hikyaku.Benchmarks.Comparison;

/// <summary>syslog-ng: wildcard-file to a second syslog-ng over TCP. Tuned: looks ten times a second, with flow control and a reliable buffer on disk.</summary>
internal static class SyslogNg
{
    /// <summary>The variant that is best at carrying files that are not rotated.</summary>
    public const string Tuned = "syslog-ng, tuned";

    public static IReadOnlyList<(string Name, Func<string, MeasuredSystem> Open)> Variants(Session session)
    {
        if (PeerProgram.Find("syslog-ng", session, "syslog-ng-core") is not { } program)
            return [];
        // Modules and configuration carry the version: 3.38
        var modules = Directory.GetDirectories(program.Library("syslog-ng")).First(static d => char.IsAsciiDigit(Path.GetFileName(d)[0]));
        ChildProgram Start(string own) => program.Start(own + "/said", "-F", "--no-caps", "--module-path", modules, "-f", own + "/conf", "-R", own + "/persist", "-p", own + "/pid", "-c", own + "/control");
        (string Name, Func<string, MeasuredSystem> Open) Variant(string name, Func<TailerPlaces, string> sender) =>
            (name, work => new TailerStreet(work, Start, p => Version() + sender(p), p => Version() + Receiver(p)));
        string Version() => $"@version: {Path.GetFileName(modules)}\n";
        return
        [
            Variant("syslog-ng", PlainSender),
            Variant(Tuned, static p => TunedSender(p, Rotation.Pattern)),
            Variant(Tuned + ", rotated names too", static p => TunedSender(p, Rotation.Pattern + "*")),
        ];
    }

    private static string PlainSender(TailerPlaces p) => $$"""
        source s { wildcard-file(base-dir("{{p.Logs}}") filename-pattern("{{Rotation.Pattern}}") flags(no-parse)); };
        destination d { network("127.0.0.1" port({{p.Port}}) transport("tcp") template("$MSG\n")); };
        log { source(s); destination(d); };

        """;

    // Polling: with inotify version 3.38 often ends in a failed assertion when a file is rotated (log_pipe_queue).
    private static string TunedSender(TailerPlaces p, string pattern) => $$"""
        source s {
            wildcard-file(base-dir("{{p.Logs}}") filename-pattern("{{pattern}}") flags(no-parse) follow-freq(0.1) monitor-method("poll")
                max-files(1000) log-iw-size(1000000) log-fetch-limit(1000));
        };
        destination d {
            network("127.0.0.1" port({{p.Port}}) transport("tcp") template("$MSG\n") time-reopen(1)
                disk-buffer(reliable(yes) disk-buf-size(2147483648) mem-buf-size(67108864) dir("{{p.Own}}")));
        };
        log { source(s); destination(d); flags(flow-control); };

        """;

    private static string Receiver(TailerPlaces p) => $$"""
        source s { network(ip("127.0.0.1") port({{p.Port}}) transport("tcp") flags(no-parse) log-iw-size(100000) log-fetch-limit(1000)); };
        destination d { file("{{p.Output}}" template("$MSG\n")); };
        log { source(s); destination(d); flags(flow-control); };

        """;
}
