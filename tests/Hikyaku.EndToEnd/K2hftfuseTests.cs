using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd;

/// <summary>Users of K2HFTFUSE change over by changing a program's name: here its names are links to ours, and its files are as they were.</summary>
public sealed class K2hftfuseTests
{
    [MountFact]
    public void Its_programs_and_INI_files_carry_lines_through_a_relay_to_a_tree_of_files()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var (first, last) = (Scene.FreePort(), Scene.FreePort());
        scene.Write("next.ini", Servers(last));
        scene.MakeFolder("tree");
        var collector = system.Collect($"{Servers(last)}[K2HFTFUSESVR]\nTYPE = file\nFILE_BASEDIR = {scene["tree"]}\nFILE_TIMEFORM = \"%s\"\nFORMAT = \"%H %F(%P) %T %L\"\n");
        var relay = system.Collect($"{Servers(first)}[K2HFTFUSESVR]\nTYPE = trans\nTRANSCONF = {scene["next.ini"]}\nK2HTYPE = mem\n");
        var agent = system.Mount($"""
            {Servers(first)}
            [K2HFTFUSE]
            K2HTYPE = mem
            [K2HFTFUSE_RULE_DIR]
            TARGET = app
            TRUNS = on
            DEFAULTALL = ALLOW
            """);

        // Twice started: what is mounted stays.
        var again = scene.Start(system.Link("k2hftfuse"), system.MountPoint, "-o", $"conf={scene["sender.ini"]}", "-f");
        again.WaitForExit();
        Assert.Equal(3, again.ExitCode);

        scene.ShellOk($"mkdir {system.MountPoint}/app && echo one > {system.MountPoint}/app/a.log && printf 'no end' >> {system.MountPoint}/app/a.log");
        var file = scene["tree/app/a.log"];
        Eventually.Is(() => File.Exists(file) && File.ReadAllLines(file).Length is 2, "two lines", scene.Report);
        var host = System.Text.RegularExpressions.Regex.Escape(Environment.MachineName);
        Assert.Matches($@"^{host} app/a\.log\(\d+\) \d{{10}} one$", File.ReadAllLines(file)[0]);
        // A last line without its end is sent at the close.
        Assert.Matches($@"^{host} app/a\.log\(\d+\) \d{{10}} no end$", File.ReadAllLines(file)[1]);
        Assert.Equal(0, agent.Stop());
        Assert.Equal(0, relay.Stop());
        Assert.Equal(0, collector.Stop());
    }

    [MountFact]
    public void Rules_choose_and_change_lines_as_they_did()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var port = Scene.FreePort();
        scene.MakeFolder("all");
        system.Collect($"{Servers(port)}[K2HFTFUSESVR]\nTYPE = file\nFILE_BASEDIR = {scene["all"]}\n");
        var copies = scene.MakeFolder("copies");
        system.Mount($"""
            {Servers(port)}
            [K2HFTFUSE]
            BYTELIMIT = 102
            [K2HFTFUSE_RULE_DIR]
            TARGET = /
            TRUNS = on
            OUTPUTFILE = {copies}/
            DEFAULTALL = DENY
            ALLOW = INFO
            ALLOW = "(.*)([eE][rR][rR])(.*)", "$1 = ERROR = $3"
            [K2HFTFUSE_RULE]
            TARGET = own.log
            TRUNS = on
            DEFAULTALL = ALLOW
            DENY = "^(DEBUG|TRACE)+ "
            DENY = secret
            [K2HFTFUSE_RULE]
            TARGET = part.log
            TRUNS = on
            ALLOW = "a*(b|bc)"
            [K2HFTFUSE_RULE]
            TARGET = local.log
            TRUNS = off
            OUTPUTFILE = {copies}/100%.log
            ALLOW =
            [K2HFTFUSE_RULE]
            TARGET = null.log
            TRUNS = off
            OUTPUTFILE = /dev/null
            DEFAULTALL = ALLOW
            """);
        var at = system.MountPoint;
        scene.ShellOk($@"printf 'INFO 1\nnothing\nan err here\nINFO with CR\r\nErR\n' > {at}/any.log
            printf 'DEBUG x\nDEBUGTRACE y\nDEBUG_z\nthe secret\ngood\n%0100d\n%0101d\n' 1 2 > {at}/own.log
            printf 'xaaabcd\nnone\n' > {at}/part.log
            printf 'kept here\n' > {at}/local.log
            printf 'nowhere\n' > {at}/null.log");
        string Arrived(string name) => File.Exists(scene["all/" + name]) ? File.ReadAllText(scene["all/" + name]) : "";
        Eventually.Is(() => Arrived("own.log").Length > 100 && Arrived("any.log").EndsWith("ERROR = \n", StringComparison.Ordinal) && Arrived("part.log") is not "" && File.Exists(copies + "/100%.log"), "all that passes", scene.Report);
        // What replaces a line is as long as it likes, and a line end stays what it was.
        Assert.Equal("INFO 1\nan  = ERROR =  here\nINFO with CR\r\n = ERROR = \n", Arrived("any.log"));
        Assert.Equal(Arrived("any.log"), File.ReadAllText(copies + "/any.log"));
        Assert.Equal($"DEBUG_z\ngood\n{new string('0', 99)}1\n", Arrived("own.log"));
        // The longest match of a POSIX expression, and nothing else, without a replacement.
        Assert.Equal("aaabc\n", Arrived("part.log"));
        Assert.Equal("kept here\n", File.ReadAllText(copies + "/100%.log"));
        Assert.Equal(["any.log", "own.log", "part.log"], Directory.EnumerateFiles(scene["all"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [MountFact]
    public void Binary_mode_and_a_configuration_in_the_environment_and_on_the_command_line()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var port = Scene.FreePort();
        scene.MakeFolder("all");
        var collect = $$"""{ "GLOBAL": { "PORT": "{{port}}" }, "K2HFTFUSESVR": { "TYPE": "file", "FILE_BASEDIR": "{{scene["all"]}}", "FILE_UNIFY": "one.bin", "BINTRANS": "yes" } }""";
        var send = $$"""{ "SVRNODE": [{ "NAME": "127.0.0.1", "PORT": "{{port}}" }], "K2HFTFUSE": { "BINTRANS": "yes", "K2HFTFUSE_RULE": [{ "TARGET": "m.bin", "TRUNS": "on" }] } }""";
        var collector = scene.Start("/usr/bin/env", $"K2HFTSVRJSONCONF={collect}", $"XDG_STATE_HOME={scene.Folder}", system.Link("k2hftfusesvr"));
        collector.WaitUntilSaid("running");
        var agent = scene.Start(system.Link("k2hftfuse"), system.MountPoint, "-o", $"allow_other,json={send},nodev", "-f");
        agent.WaitUntilSaid("running");
        scene.ShellOk($"printf 'one\\0two\\n' > {system.MountPoint}/m.bin; printf 'a\\r\\n\\nb' >> {system.MountPoint}/m.bin");
        var file = scene["all/one.bin"];
        Eventually.Is(() => File.Exists(file) && new FileInfo(file).Length >= 13, "two messages", scene.Report);
        Assert.Equal("one\0two\na\r\n\nb", File.ReadAllText(file));
        Assert.Equal(0, agent.Stop());
        Assert.Equal(0, collector.Stop());
    }

    [MountFact]
    public void Plugins_are_fed_on_both_sides()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var port = Scene.FreePort();
        var (all, copies) = (scene.MakeFolder("all"), scene.MakeFolder("copies"));
        system.Collect($"{Servers(port)}[K2HFTFUSESVR]\nTYPE = file\nFILE_BASEDIR = {all}\nFORMAT = \"%f: %L\"\nPLUGIN = sed -u s/a/b/\n");
        system.Mount($"""
            {Servers(port)}
            [K2HFTFUSE]
            [K2HFTFUSE_RULE_DIR]
            TARGET = app
            TRUNS = on
            OUTPUTFILE = {copies}/
            PLUGIN = MARK=x= sh -c 'while read -r line; do echo "$MARK$line"; done'
            ALLOW = keep
            """);
        scene.ShellOk($"mkdir {system.MountPoint}/app && printf 'keep a\\nnot\\nkeep c\\n' > {system.MountPoint}/app/1.log && echo 'keep d' > {system.MountPoint}/app/2.log");
        void Holds(string file, string expected) =>
            Eventually.Is(() => File.Exists(file) && File.ReadAllText(file) == expected, $"{file}: {expected}", () => (File.Exists(file) ? File.ReadAllText(file) : "no file") + scene.Report());
        Holds(copies + "/1.log", "x=keep a\nx=keep c\n");
        Holds(copies + "/2.log", "x=keep d\n");
        Holds(all + "/app/1.log", "1.log: keep b\n1.log: keep c\n");
        Holds(all + "/app/2.log", "2.log: keep d\n");
    }

    [MountFact]
    public void A_file_that_no_rule_names_disturbs_nobody()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var port = Scene.FreePort();
        scene.MakeFolder("all");
        system.Collect($"{Servers(port)}[K2HFTFUSESVR]\nTYPE = file\nFILE_BASEDIR = {scene["all"]}\n");
        system.Mount($"{Servers(port)}[K2HFTFUSE]\n[K2HFTFUSE_RULE]\nTARGET = a.log\nTRUNS = on\nDEFAULTALL = ALLOW\n");
        Assert.Contains("not permitted", scene.Shell($"cat /etc/hostname > {system.MountPoint}/stray.log").Errors, StringComparison.OrdinalIgnoreCase);
        scene.ShellOk($"timeout 10 ls {system.MountPoint} && timeout 10 sh -c 'echo good > {system.MountPoint}/a.log'");
        Eventually.Is(() => File.Exists(scene["all/a.log"]), "the line of the other file", scene.Report);
        Assert.Equal(["a.log"], Directory.EnumerateFiles(scene["all"]).Select(Path.GetFileName));
    }

    [MountFact]
    public void Chmpx_is_a_program_that_waits_to_be_stopped()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var chmpx = scene.Start(system.Link("chmpx"), "-conf", scene.Write("c.ini", Servers(8020)), "-d", "err");
        chmpx.WaitUntilSaid("not needed any more");
        Assert.False(chmpx.HasExited);
        Assert.Equal(0, chmpx.Stop());
        var missing = scene.Start(system.Link("chmpx"), "-conf", scene["none.ini"]);
        missing.WaitForExit();
        Assert.Equal(2, missing.ExitCode);
        Assert.Contains("none.ini: there is no such file", missing.Errors, StringComparison.Ordinal);
    }

    [MountFact]
    public void A_changed_rule_counts_after_SIGHUP_and_a_wrong_one_changes_nothing()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var port = Scene.FreePort();
        var all = scene.MakeFolder("all");
        system.Collect($"{Servers(port)}[K2HFTFUSESVR]\nTYPE = file\nFILE_BASEDIR = {all}\n");
        string Sender(string rules) => $"{Servers(port)}[K2HFTFUSE]\n[K2HFTFUSE_RULE]\nTARGET = a.log\nTRUNS = on\n{rules}\n";
        var agent = system.Mount(Sender("DEFAULTALL = ALLOW\nDENY = two"));
        void Write(string lines, string expected)
        {
            scene.ShellOk($"printf '{lines}' >> {system.MountPoint}/a.log");
            Eventually.Is(() => File.Exists(all + "/a.log") && File.ReadAllText(all + "/a.log") == expected, expected, scene.Report);
        }

        Write("one\\ntwo\\nthree\\n", "one\nthree\n");
        scene.Write("sender.ini", Sender("DEFAULTALL = ALLOW\nDENY = three"));
        agent.Signal(Libc.SIGHUP);
        agent.WaitUntilSaid("read again");
        Write("two\\nthree\\n", "one\nthree\ntwo\n");
        scene.Write("sender.ini", Sender("DEFAULTALL = MAYBE"));
        agent.Signal(Libc.SIGHUP);
        agent.WaitUntilSaid("going on with the configuration from before");
        Write("four\\nthree\\n", "one\nthree\ntwo\nfour\n");
    }

    [MountFact]
    public void An_idle_installation_takes_no_processor_time_and_a_stop_leaves_no_dead_mount()
    {
        using var system = new Installation();
        var scene = system.Scene;
        var port = Scene.FreePort();
        var collector = system.Collect($"{Servers(port)}[K2HFTFUSESVR]\nTYPE = file\nFILE_BASEDIR = {scene.MakeFolder("all")}\n");
        var agent = system.Mount($"{Servers(port)}[K2HFTFUSE]\n[K2HFTFUSE_RULE]\nTARGET = a.log\nTRUNS = on\nDEFAULTALL = ALLOW\n");
        scene.ShellOk($"echo one > {system.MountPoint}/a.log");
        Eventually.Is(() => File.Exists(scene["all/a.log"]), "the line", scene.Report);

        // A tenth of one processor is a hundred times what it needs; one that spins takes all of it.
        int[] pids = [collector.Pid, agent.Pid, agent.Child(Street.MountChild), agent.Child(Street.TransferChild)];
        var ticks = 100.0;
        Eventually.Is(() =>
        {
            var before = pids.Sum(ProcessorTicks);
            Thread.Sleep(TimeSpan.FromSeconds(1));
            return pids.Sum(ProcessorTicks) - before < ticks / 10;
        }, "a second in which nothing happens", scene.Report);

        using (var open = new FileStream(system.MountPoint + "/a.log", FileMode.Append))
        {
            Assert.Equal(0, agent.Stop());
            Assert.False(Mounts.IsMounted(system.MountPoint));
        }
        Assert.Equal([], Directory.EnumerateFiles(system.MountPoint).Where(f => !f.EndsWith("/a.log", StringComparison.Ordinal)));
    }

    private static long ProcessorTicks(int pid)
    {
        var fields = File.ReadAllText($"/proc/{pid}/stat");
        var behindName = fields[(fields.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(behindName[11], System.Globalization.CultureInfo.InvariantCulture) + long.Parse(behindName[12], System.Globalization.CultureInfo.InvariantCulture);
    }

    private static string Servers(int port) => $"""
        [GLOBAL]
        MODE = SERVER
        DELIVERMODE = random
        PORT = {port}
        SSL = no
        [SVRNODE]
        NAME = 127.0.0.1
        PORT = {port}
        [SLVNODE]
        NAME = [.]*

        """;

    /// <summary>Links with the names of K2HFTFUSE's programs, a mount point, and what these leave in the default state directory.</summary>
    private sealed class Installation : IDisposable
    {
        private readonly List<string> _states = [];

        public Installation()
        {
            MountPoint = Scene.MakeFolder("mnt");
            // The state of an instance is named after its mount point or its file; the scene's own name keeps it apart from others.
            _states.Add(MountPoint.Trim('/').Replace('/', '-'));
            _states.Add("k2hftfusesvr");
        }

        public Scene Scene { get; } = new();

        public string MountPoint { get; }

        public string Link(string name)
        {
            var link = Scene[name];
            if (!File.Exists(link))
                File.CreateSymbolicLink(link, Checkout.Program);
            return link;
        }

        public Command Collect(string configuration)
        {
            var name = $"{Path.GetFileName(Scene.Folder)}-{_states.Count}";
            _states.Add(name);
            return Started(Scene.Start(Link("k2hftfusesvr"), "-conf", Scene.Write(name + ".ini", configuration), "-d", "err"));
        }

        public Command Mount(string configuration) =>
            Started(Scene.Start(Link("k2hftfuse"), MountPoint, "-o", $"allow_other,nodev,nosuid,_netdev,dbglevel=err,conf={Scene.Write("sender.ini", configuration)}", "-f"));

        public void Dispose()
        {
            // Whatever still runs has to end before its state can go.
            Scene.Dispose();
            foreach (var state in _states.Select(s => Path.Join("/var/lib/hikyaku", s)).Where(Directory.Exists))
                Directory.Delete(state, recursive: true);
        }

        private static Command Started(Command command)
        {
            command.WaitUntilSaid("running");
            return command;
        }
    }
}
