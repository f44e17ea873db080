namespace Hikyaku.Benchmarks.Comparison;

/// <summary>rsyslog: imfile to a second rsyslog. By default over TCP; tuned over RELP, with acknowledgements and a queue that may go to disk.</summary>
internal static class Rsyslog
{
    /// <summary>The variant that is best at carrying files that are not rotated.</summary>
    public const string Tuned = "rsyslog, tuned";

    public static IReadOnlyList<(string Name, Func<string, MeasuredSystem> Open)> Variants(Session session)
    {
        if (PeerProgram.Find("rsyslogd", session, "rsyslog", "rsyslog-relp") is not { } program)
            return [];
        var modules = program.Library("MACHINE/rsyslog");
        ChildProgram Start(string own) => program.Start(own + "/said", "-n", "-M", modules, "-i", own + "/pid", "-f", own + "/conf");
        (string Name, Func<string, MeasuredSystem> Open) Variant(string name, Func<TailerPlaces, string> sender, Func<TailerPlaces, string> receiver) =>
            (name, work => new TailerStreet(work, Start, sender, receiver));

        var variants = new List<(string, Func<string, MeasuredSystem>)> { Variant("rsyslog", PlainSender, PlainReceiver) };
        if (File.Exists(Path.Combine(modules, "omrelp.so")))
        {
            variants.Add(Variant(Tuned, p => TunedSender(p, Rotation.Pattern), TunedReceiver));
            variants.Add(Variant(Tuned + ", rotated names too", p => TunedSender(p, Rotation.Pattern + "*"), TunedReceiver));
        }
        else
        {
            session.Remark("rsyslog is not measured tuned: the package rsyslog-relp is missing");
        }

        return variants;
    }

    private static string PlainSender(TailerPlaces p) => $$"""
        module(load="imfile")
        global(workDirectory="{{p.Own}}")
        input(type="imfile" file="{{p.Logs}}/{{Rotation.Pattern}}" tag="load:" ruleset="send")
        ruleset(name="send") {
            action(type="omfwd" target="127.0.0.1" port="{{p.Port}}" protocol="tcp")
        }

        """;

    private static string PlainReceiver(TailerPlaces p) => $$"""
        module(load="imtcp")
        global(workDirectory="{{p.Own}}")
        template(name="line" type="string" string="%msg:2:$%\n")
        input(type="imtcp" address="127.0.0.1" port="{{p.Port}}" ruleset="store")
        ruleset(name="store") {
            action(type="omfile" file="{{p.Output}}" template="line")
        }

        """;

    // With omrelp's own window of 128 lines it waits for acknowledgements most of the time (measured: 700 lines a second). Reading
    // by polling loses more, and this version has been seen to crash.
    private static string TunedSender(TailerPlaces p, string pattern) => $$"""
        module(load="imfile" mode="inotify")
        module(load="omrelp")
        global(workDirectory="{{p.Own}}")
        input(type="imfile" file="{{p.Logs}}/{{pattern}}" tag="load:" ruleset="send" reopenOnTruncate="on")
        ruleset(name="send" queue.type="LinkedList" queue.filename="send" queue.size="500000" queue.maxDiskSpace="4g" queue.saveOnShutdown="on"
                queue.dequeueBatchSize="1024" queue.timeoutEnqueue="60000") {
            action(type="omrelp" target="127.0.0.1" port="{{p.Port}}" action.resumeRetryCount="-1" windowSize="2000")
        }

        """;

    private static string TunedReceiver(TailerPlaces p) => $$"""
        module(load="imrelp")
        global(workDirectory="{{p.Own}}")
        template(name="line" type="string" string="%msg:2:$%\n")
        input(type="imrelp" address="127.0.0.1" port="{{p.Port}}" ruleset="store")
        ruleset(name="store" queue.type="LinkedList" queue.size="500000" queue.timeoutEnqueue="60000") {
            action(type="omfile" file="{{p.Output}}" template="line" ioBufferSize="64k" flushOnTXEnd="on")
        }

        """;
}
