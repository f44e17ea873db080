using System.Text;
using Hikyaku.EndToEnd.Stage;
using Xunit;
using Xunit.Abstractions;

namespace Hikyaku.EndToEnd;

/// <summary>nginx and Apache as people run them, under load, their logs in the mount and rotated in each server's own way.</summary>
public sealed class WebServerTests(ITestOutputHelper output)
{
    private const int Rotations = 10;
    private const int Clients = 4;

    [RootFact]
    public void Nginx_told_to_open_its_logs_anew_loses_no_request()
    {
        using var scene = new Scene();
        var street = Open(scene, "access.log", "buffered.log");
        var port = Scene.FreePort();
        var temporary = string.Concat(new[] { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" }.Select(t => $"{t}_temp_path {scene.MakeFolder("temporary")}/{t}; "));
        var configuration = scene.Write("nginx.conf", $$"""
            daemon off;
            user www-data;
            worker_processes 2;
            pid {{scene["nginx.pid"]}};
            error_log {{street.MountPoint}}/error.log notice;
            events { }
            http {
                log_format access 'access $remote_addr - - [$time_local] "$request" $status $body_bytes_sent $msec.';
                log_format buffered 'buffered $remote_addr - - [$time_local] "$request" $status $body_bytes_sent $msec.';
                access_log {{street.MountPoint}}/access.log access;
                access_log {{street.MountPoint}}/buffered.log buffered buffer=16k flush=1s;
                keepalive_requests 1000000000;
                {{temporary}}
                server {
                    listen 127.0.0.1:{{port}};
                    return 204;
                }
            }
            """);
        var nginx = scene.Start("/usr/sbin/nginx", "-c", configuration, "-e", scene["nginx.start"]);
        WaitForListener(nginx, scene, scene["nginx.pid"]);

        AskUnderRotation(street, nginx, port, ["access", "buffered"], """
            for f in access.log buffered.log; do until [ -s $f ]; do sleep 0.01; done; mv $f $f.$n; done
            kill -USR1 $server
            [ $n -lt 3 ] || gzip access.log.$((n - 2)) buffered.log.$((n - 2))
            """);
    }

    [RootFact]
    public void Apache_restarted_gracefully_loses_no_request()
    {
        using var scene = new Scene();
        var street = Open(scene, "access.log");
        var (apache, port) = StartApache(street, $"CustomLog {street.MountPoint}/access.log access", "access");

        AskUnderRotation(street, apache, port, ["access"], """
            until [ -s access.log ]; do sleep 0.01; done
            mv access.log access.log.$n
            kill -USR1 $server
            """);
    }

    [RootFact]
    public void Apache_with_rotatelogs_loses_no_request()
    {
        using var scene = new Scene();
        var street = Open(scene, "timed.*", "round.log*");
        // One log with a new name each second and a link to the newest; one that goes round in four files, emptying each before it is used again.
        var (apache, port) = StartApache(street, $"""
            CustomLog "|/usr/bin/rotatelogs -L {street.MountPoint}/newest.log {street.MountPoint}/timed.%s 1" timed
            CustomLog "|/usr/bin/rotatelogs -n 4 {street.MountPoint}/round.log 256K" round
            """, "timed", "round");

        AskUnderRotation(street, apache, port, ["timed", "round"], "[ $n -lt 10 ] || until [ -s newest.log -a -e round.log.3 -a $(ls timed.* | wc -l) -ge 5 ]; do sleep 0.01; done");
    }

    private static Street Open(Scene scene, params string[] patterns) =>
        new Street(scene, routeLines: $"match: [ fresh.log, {string.Join(", ", patterns.Select(static p => $"'{p}'"))} ]").Open();

    private static (Command Apache, int Port) StartApache(Street street, string customLogs, params string[] logs)
    {
        var scene = street.Scene;
        var port = Scene.FreePort();
        string[] modules = ["mpm_event", "alias", "authz_core"];
        var configuration = scene.Write("apache.conf", $"""
            {string.Concat(modules.Select(m => $"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so\n"))}
            ServerRoot {scene.Folder}
            ServerName localhost
            DefaultRuntimeDir {scene.MakeFolder("runtime")}
            PidFile {scene["apache.pid"]}
            Listen 127.0.0.1:{port}
            User www-data
            Group www-data
            KeepAlive On
            MaxKeepAliveRequests 0
            StartServers 2
            ErrorLog {street.MountPoint}/error.log
            {string.Concat(logs.Select(l => $"LogFormat \"{l} %h %l %u %t \\\"%r\\\" %>s %O.\" {l}\n"))}
            Redirect 204 /
            {customLogs}
            """);
        var apache = scene.Start("/usr/sbin/apache2", "-f", configuration, "-D", "FOREGROUND");
        WaitForListener(apache, scene, scene["apache.pid"]);
        return (apache, port);
    }

    private static void WaitForListener(Command server, Scene scene, string pidFile)
    {
        Eventually.Is(() => server.HasExited || (File.Exists(pidFile) && new FileInfo(pidFile).Length > 0), "the web server", scene.Report);
        Assert.False(server.HasExited, scene.Report());
    }

    /// <param name="logs">The first word of each line, by the log it was written to. Each of the logs has every request.</param>
    /// <param name="rotate">Shell text for the <c>$n</c>th rotation of the <c>$server</c>.</param>
    private void AskUnderRotation(Street street, Command server, int port, string[] logs, string rotate)
    {
        var scene = street.Scene;
        using var clients = new WebServerClients(port, Clients);
        var rotation = scene.Start("/bin/sh", "-ec", $"""
            cd {street.MountPoint}
            server={server.Pid}
            for n in $(seq {Rotations}); do
                sleep 0.5
                {rotate}
            done
            """);
        rotation.WaitForExit();
        clients.Stop();
        Assert.True(rotation.ExitCode is 0, scene.Report());
        output.WriteLine($"{clients.Answered} requests answered");

        var wrong = "";
        string Compare() => wrong = string.Join("; ", logs.Select(l => (Log: l, Wrong: clients.Compare(File.ReadLines(street.Output, Encoding.Latin1).Where(line => line.StartsWith(l + " ", StringComparison.Ordinal))))).Where(static l => l.Wrong.Length > 0));
        Eventually.Is(() => Compare().Length is 0, "every answered request in each log", () => wrong + "\n" + scene.Report());
        Assert.True(server.Stop() is 0, scene.Report());
        street.AssertFreshLineArrives();
        Assert.Equal("", Compare());
        Assert.DoesNotContain(File.ReadLines(street.Output, Encoding.Latin1).SkipLast(1), line => !logs.Contains(line.Split(' ')[0]));
        street.CloseCleanly();
    }
}
