using System.Diagnostics;
using System.Globalization;
using Hikyaku.Supervision;
using Hikyaku.Tests.Transfer;
using Hikyaku.Transfer;
using Xunit;

namespace Hikyaku.Tests.Outputs;

public sealed class PipeTests
{
    // The shell reads a byte at a time, so it has never read more than the line it is at.
    private const string Echo = "#!/bin/sh\nwhile IFS= read -r line; do printf '%s%s\\n' \"$MARK\" \"$line\"; done\n";

    [Fact]
    public async Task Lines_reach_the_process_in_order_and_as_the_format_says()
    {
        await using var street = new OutputStreet();
        street.Script("echo", Echo);
        street.Run("  - to: { pipe: { command: \"MARK='a b' ROOT/echo\", format: \"%H:%F %L\", output: \"ROOT/100%%/out\" } }");
        street.Log.Write("x.log", 1, "one\ntwo\n");
        street.Log.Write("sub/y.log", 2, "three\n");
        await street.Expect("100%/out", "a bhere:x.log one\na bhere:x.log two\na bhere:sub/y.log three\n");
    }

    [Fact]
    public async Task With_the_length_before_each_a_process_gets_every_byte_of_a_message()
    {
        await using var street = new OutputStreet();
        street.Run("  - { mode: message, to: { pipe: { command: [cat], framing: length, output: ROOT/out } } }");
        street.Log.Write("x", 1, "two\nlines\n");
        street.Log.Write("x", 1, "\0");
        await street.Expect("out", "10\ntwo\nlines\n1\n\0");
    }

    [Fact]
    public async Task There_is_a_process_for_each_output_and_never_too_many_of_them()
    {
        await using var street = new OutputStreet();
        street.Script("echo", "#!/bin/sh\necho begin >>ROOT/lives\nwhile IFS= read -r line; do printf '%s\\n' \"$line\"; done\necho end >>ROOT/lives\n".Replace("ROOT", street.Root, StringComparison.Ordinal));
        street.Run("  - to: { pipe: { command: ROOT/echo, output: \"ROOT/by/{path}\" } }", static s => s with { Routes = [.. s.Routes.Select(static r => r with { Pipe = r.Pipe! with { ProcessesMax = 2 } })] });
        for (var round = 0; round < 3; round++)
        {
            for (var file = 0; file < 6; file++)
                street.Log.Write($"f{file}", (ulong)file + 1, $"{round}\n");
            await street.Until(() => street.Read("by/f5").Length == 2 * (round + 1));
        }

        for (var file = 0; file < 6; file++)
            await street.Expect($"by/f{file}", "0\n1\n2\n");
        var (now, most) = (0, 0);
        foreach (var line in street.Read("lives").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            most = Math.Max(most, now += line is "begin" ? 1 : -1);
        Assert.Equal(2, most);
    }

    [Fact]
    public async Task A_process_that_is_killed_again_and_again_costs_no_line_but_those_it_had_read()
    {
        await using var street = new OutputStreet();
        street.Script("echo", "#!/bin/sh\necho $$ >>ROOT/pids\nwhile IFS= read -r line; do printf '%s\\n' \"$line\"; done\n".Replace("ROOT", street.Root, StringComparison.Ordinal));
        street.Run("  - to: { pipe: { command: ROOT/echo, output: ROOT/out } }");
        const int lines = 30_000, kills = 4;
        for (var i = 0; i < lines; i++)
            street.Log.Write("x", 1, string.Create(CultureInfo.InvariantCulture, $"{i:D6}\n"));
        for (var kill = 1; kill <= kills; kill++)
        {
            await street.Until(() => street.Read("pids").Split('\n').Length > kill && street.Read("out").Length > kill * lines * 7 / 8);
            Process.GetProcessById(int.Parse(street.Read("pids").Split('\n')[kill - 1], CultureInfo.InvariantCulture)).Kill();
        }

        await street.Until(() => street.Read("out").EndsWith($"{lines - 1:D6}\n", StringComparison.Ordinal));
        var arrived = street.Read("out").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.InRange(arrived.Distinct(StringComparer.Ordinal).Count(), lines - kills, lines);
        Assert.InRange(arrived.Length, lines - kills, lines + kills);
        Assert.Equal(kills, street.Reports.Count(static r => r.Contains("was killed by signal 9", StringComparison.Ordinal)));
        Assert.Contains(street.Reports, static r => r.Contains("bytes that it had not read go to the next one", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_process_that_never_reads_stops_only_its_own_output()
    {
        await using var street = new OutputStreet();
        var agent = street.Run("""
              - name: r
                to: { pipe: { command: "sleep 1000" }, file: { path: ROOT/file } }
              - { name: other, to: { pipe: { command: cat, output: ROOT/out } } }
            """, Impatient);
        var text = new string('x', 999) + "\n";
        for (var i = 0; i < 4000; i++)
            street.Log.Write("x", 1, text);
        await street.Until(() => street.Read("file").Length == 4_000_000 && street.Read("out").Length == 4_000_000);
        Assert.Equal(0, agent.Process.Status().Pumps.Single(static p => p.Name == "r-pipe").LinesOut);
        Assert.Equal(["r-file", "r-pipe", "other-pipe"], TransferProcess.Cursors([new RouteSettings("r") { File = new("x"), Pipe = new(new(["x"], [])) }, new RouteSettings("other") { Pipe = new(new(["x"], [])) }], "m"));
    }

    [Fact]
    public async Task A_process_that_ends_at_once_is_started_again_ever_more_slowly_and_no_line_is_lost()
    {
        await using var street = new OutputStreet();
        street.Script("echo", $"#!/bin/sh\n[ -e {street.Root}/ready ] || exit 3\nexec cat\n");
        var agent = street.Run("  - to: { pipe: { command: ROOT/echo, output: ROOT/out } }");
        street.Log.Write("x", 1, "one\n");
        await street.Until(() => street.Reports.Count >= 3);
        Assert.Equal(["in 0.1 s", "in 0.2 s", "in 0.4 s"], street.Reports.Take(3).Select(static r => r[r.LastIndexOf("in ", StringComparison.Ordinal)..]));
        Assert.All(street.Reports, static r => Assert.Contains("ended with status 3", r, StringComparison.Ordinal));
        Assert.False(agent.Process.Status().Pumps.Single().Receivers.Single().Healthy);
        File.WriteAllText(Path.Join(street.Root, "ready"), "");
        await street.Expect("out", "one\n");
        await street.Until(() => agent.Process.Status().Pumps.Single().Receivers.Single().Healthy);
    }

    [Fact]
    public async Task A_program_that_is_not_there_is_named()
    {
        await using var street = new OutputStreet();
        street.Run("  - { name: r, to: { pipe: { command: [/no/such/program, x] } } }");
        await street.Until(() => !street.Reports.IsEmpty);
        Assert.Equal("route r: /no/such/program x: /no/such/program x: cannot be started: No such file or directory; starting it again in 0.1 s", street.Reports.First());
    }

    [Fact]
    public async Task What_a_process_says_is_told_within_bounds_and_a_flood_stops_nothing()
    {
        await using var street = new OutputStreet();
        street.Script("loud", "#!/bin/sh\necho 'a word' >&2\nread -r line\ni=0\nwhile [ $i -lt 3000 ]; do echo flood $i; echo flood $i >&2; i=$((i+1)); done\nexec cat >ROOT/out\n".Replace("ROOT", street.Root, StringComparison.Ordinal));
        street.Run("  - { name: r, to: { pipe: { command: ROOT/loud } } }");
        await street.Until(() => street.Reports.Any(static r => r.EndsWith("/loud: a word", StringComparison.Ordinal)));
        street.Log.Write("x", 1, "first\nsecond\n");
        await street.Expect("out", "second\n");
        Assert.InRange(street.Reports.Count, 2, 1000);
    }

    [Fact]
    public async Task At_a_stop_the_input_ends_and_what_was_read_is_not_given_again()
    {
        await using var street = new OutputStreet();
        street.Script("bye", "#!/bin/sh\ncat\necho bye\n");
        const string Route = "  - to: { pipe: { command: ROOT/bye, output: ROOT/out } }";
        for (var i = 0; i < 3; i++)
        {
            await using var agent = street.Run(Route);
            street.Log.Write("x", 1, $"{i}\n");
            await street.Until(() => agent.Process.Status().Pumps is [{ LinesOut: > 0 }] && street.Read("out").Split('\n').Length > 2 * i + 1);
        }

        Assert.Equal("0\nbye\n1\nbye\n2\nbye\n", street.Read("out"));
    }

    [Theory]
    [InlineData("#!/bin/sh\necho $$ >ROOT/pid\nreadlink /proc/$$/fd/0 >ROOT/end\nexec sleep 1000\n")]
    [InlineData("#!/bin/sh\ntrap '' TERM\necho $$ >ROOT/pid\nreadlink /proc/$$/fd/0 >ROOT/end\nwhile :; do sleep 1; done\n")]
    public async Task A_process_that_does_not_go_is_ended_and_nothing_is_left_of_it(string script)
    {
        await using var street = new OutputStreet();
        street.Script("stay", script.Replace("ROOT", street.Root, StringComparison.Ordinal));
        await using (street.Run("  - to: { pipe: { command: ROOT/stay } }", Impatient))
            await street.Until(() => street.Read("end").Length > 0);
        Assert.False(Directory.Exists("/proc/" + street.Read("pid").Trim()));
        var pipe = street.Read("end").Trim();
        Assert.StartsWith("pipe:", pipe, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.GetFiles("/proc/self/fd").Select(static f => new FileInfo(f).LinkTarget), t => t == pipe);
    }

    [Fact]
    public async Task A_plugin_does_not_survive_us_though_it_never_looks_at_its_input()
    {
        await using var street = new OutputStreet();
        street.Script("stay", "#!/bin/sh\necho $$ >ROOT/pid\nexec sleep 1000\n".Replace("ROOT", street.Root, StringComparison.Ordinal));
        var file = street.Script("c.yaml", $$"""
            state: state
            receive: { forward: { listen: "127.0.0.1:{{FreePort.Next()}}" } }
            routes: [{ to: { pipe: { command: "{{street.Root}}/stay" } } }]
            """);
        using var program = ChildProcess.Start([.. ChildProcess.Self, "run", "-c", file]);
        await street.Until(() => street.Read("pid").Length > 1);
        var plugin = "/proc/" + street.Read("pid").Trim();
        Assert.True(Directory.Exists(plugin));
        program.Kill();
        await street.Until(() => !Directory.Exists(plugin) || File.ReadAllText(plugin + "/stat").Contains(") Z ", StringComparison.Ordinal));
    }

    private static TransferSettings Impatient(TransferSettings settings) => settings with
    {
        Routes = [.. settings.Routes.Select(static r => r with { Pipe = r.Pipe! with { Patience = TimeSpan.FromMilliseconds(200) } })],
    };
}
