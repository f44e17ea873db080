using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>A relay and a collector that prove to each other who they are, with the certificates of the page on operations.</summary>
public sealed class SecurityTests(ITestOutputHelper output)
{
    [Fact]
    public void Certificates_replaced_while_the_collector_is_killed_again_and_again_cost_no_line_and_double_none()
    {
        using var scene = new Scene(100 + Kills.Count * 8);
        scene.ShellOk(CommandsOfThePage());
        var (relayPort, collectorPort) = (Scene.FreePort(), Scene.FreePort());
        scene.ShellOk("openssl rand -base64 32 > forward.key; chmod 600 forward.key");
        var collectorFile = scene.Write("collector.yaml", $$"""
            state: {{scene["collector-state"]}}
            receive:
              forward:
                listen: 127.0.0.1:{{collectorPort}}
                tls: { cert: collector.example.com.pem, key: collector.example.com.key, ca: ca.pem }
                shared_key_file: forward.key
                users: [{ name: web1, password: secret of web1 }]
                allow: [127.0.0.0/8]
            routes:
              - to: { file: { path: out.log } }
            """);
        var relayFile = scene.Write("relay.yaml", $$"""
            state: {{scene["relay-state"]}}
            receive: { forward: { listen: 127.0.0.1:{{relayPort}} } }
            routes:
              - to:
                  forward:
                    servers: 127.0.0.1:{{collectorPort}}
                    tls: { ca: ca.pem, cert: web1.example.com.pem, key: web1.example.com.key, name: collector.example.com }
                    shared_key_file: forward.key
                    user: web1
                    password: secret of web1
            """);
        scene.ShellOk("chmod 600 collector.yaml relay.yaml");
        var relay = Start(scene, relayFile);
        var collector = Start(scene, collectorFile);
        var kills = new Kills();
        output.WriteLine($"seed {kills.Seed}");
        ForeignSender[] senders = [new(relayPort, "one", isFluentBit: false, kills.Draw(1 << 20)), new(relayPort, "two", isFluentBit: true, kills.Draw(1 << 20))];
        for (var i = 0; i < Kills.Count; i++)
        {
            WaitUntilLinesMove(scene);
            // New keys and certificates by the same authority; in between they do not belong to each other.
            foreach (var host in (string[])["collector.example.com", "web1.example.com"])
                scene.ShellOk($"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={host} -keyout {host}.key -out {host}.csr"
                    + $" && openssl x509 -req -in {host}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -extfile {host}.ext -out {host}.pem");
            kills.WaitForTheMoment();
            collector.Kill();
            collector = Start(scene, collectorFile);
        }
        WaitUntilLinesMove(scene);
        foreach (var sender in senders)
            sender.Stop();

        foreach (var sender in senders)
        {
            var length = Enumerable.Range(0, sender.Lines).Sum(n => (long)sender.Line(n).Length + 1);
            Eventually.Is(() => Of(scene, sender).Sum(static l => (long)l.Length + 1) >= length, $"all lines of {sender.Name}", scene.Report);
            Assert.Equal(Enumerable.Range(0, sender.Lines).Select(sender.Line), Of(scene, sender));
        }
        Assert.Contains("asks    TLS 1.2 or newer with a client certificate, a shared key, a user's name and password (1 user), an allowed address",
            scene.RunHikyaku("status", "-c", collectorFile).Output, StringComparison.Ordinal);
        Assert.True(relay.Stop() == 0 && collector.Stop() == 0, scene.Report());
        Assert.DoesNotContain("secret of web1", scene.Report(), StringComparison.Ordinal);
        foreach (var accepted in (string[])["collector-state/accepted.yaml", "relay-state/accepted.yaml"])
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(scene[accepted]));
    }

    private static Command Start(Scene scene, string file)
    {
        var command = scene.Hikyaku("run", "-c", file);
        command.WaitUntilSaid("run: running");
        return command;
    }

    private static void WaitUntilLinesMove(Scene scene)
    {
        var before = FileLength.Of(scene["out.log"]);
        Eventually.Is(() => FileLength.Of(scene["out.log"]) > before, "lines that arrive", scene.Report);
    }

    private static IEnumerable<string> Of(Scene scene, ForeignSender sender) =>
        File.ReadLines(scene["out.log"]).Where(l => l.StartsWith(sender.Name + " ", StringComparison.Ordinal));

    private static string CommandsOfThePage()
    {
        var page = File.ReadAllText(Path.Join(Checkout.Root, "docs/OPERATIONS.md"));
        var start = page.IndexOf("openssl req -x509", StringComparison.Ordinal);
        return "set -e\n" + page[start..page.IndexOf("```", start, StringComparison.Ordinal)];
    }
}
