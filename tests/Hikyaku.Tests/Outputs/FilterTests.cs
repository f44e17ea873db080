using System.Diagnostics;
using System.Globalization;
using Hikyaku.Tests.Transfer;
using Hikyaku.Transfer;
using Xunit;

namespace Hikyaku.Tests.Outputs;

public sealed class FilterTests
{
    [Theory]
    [InlineData("to: { file: { path: ROOT/out } }")]
    [InlineData("to: { pipe: { command: cat, output: ROOT/out } }")]
    public async Task Each_line_becomes_what_the_filter_answers_and_an_empty_answer_drops_it(string to)
    {
        await using var street = new OutputStreet();
        var agent = street.Run($"  - {{ name: r, deny: [no], filter: {{ command: \"sed -u 's/secret/***/; /drop/s/.*//'\" }}, {to} }}");
        street.Log.Write("x", 1, "one\na secret\nno\ndrop this\n\ntwo\n");
        await street.Expect("out", "one\na ***\ntwo\n");
        await street.Until(() => agent.Process.Status().Pumps.Single() is { LinesOut: 5, DroppedByFilter: 2 });
        Assert.Empty(street.Reports);
    }

    [Fact]
    public async Task What_is_sent_to_another_host_is_what_the_filter_answered_with_its_source_and_time()
    {
        await using var street = new OutputStreet();
        var port = FreePort.Next();
        await using var collector = new RunningTransfer(new TransferSettings
        {
            Host = "there",
            StateDirectory = Path.Join(street.Root, "there"),
            Receive = new ReceiveSettings($"127.0.0.1:{port}"),
            Routes = [new RouteSettings("all") { File = new FileOutputSettings(Path.Join(street.Root, "out")) { Format = "%H:%F:%P %T %L", Time = "%s%-" } }],
        });
        street.Run($"  - {{ filter: {{ command: \"tr a-z A-Z\", framing: line }}, to: {{ forward: {{ servers: \"127.0.0.1:{port}\" }} }} }}".Replace("tr a-z A-Z", "sed -u y/abc/ABC/", StringComparison.Ordinal));
        var time = street.Log.Time;
        street.Log.Write("x", 1, "aha\nbabe\n", pid: 42);
        await street.Expect("out", $"here:x:42 {time} AhA\nhere:x:42 {time} BABe\n");
    }

    [Fact]
    public async Task With_the_length_before_each_messages_keep_every_byte()
    {
        await using var street = new OutputStreet();
        street.Run("  - { mode: message, filter: { command: cat, framing: length }, to: { file: { path: ROOT/out, format: \"<%L>\" } } }");
        street.Log.Write("x", 1, "two\nlines\n\n");
        street.Log.Write("x", 1, "\0");
        await street.Expect("out", "<two\nlines\n\n><\0>");
    }

    [Fact]
    public async Task A_filter_that_dies_again_and_again_and_restarts_of_ours_cost_no_line_and_repeat_none()
    {
        await using var street = new OutputStreet();
        street.Script("filter", "#!/bin/sh\necho $$ >>ROOT/pids\nwhile IFS= read -r line; do printf '<%s>\\n' \"$line\"; done\n".Replace("ROOT", street.Root, StringComparison.Ordinal));
        const int lines = 20_000, rounds = 8;
        var written = 0;
        const string Route = "  - { filter: { command: ROOT/filter }, to: { file: { path: ROOT/out } } }";
        var agent = street.Run(Route);
        for (var round = 1; round <= rounds; round++)
        {
            for (; written < lines * round / rounds; written++)
                street.Log.Write("x", 1, string.Create(CultureInfo.InvariantCulture, $"{written:D6}\n"));
            await street.Until(() => street.Read("pids").Split('\n').Length > round);
            if (round % 4 != 0)
            {
                var last = street.Read("pids").Split('\n')[^2];
                Process.GetProcessById(int.Parse(last, CultureInfo.InvariantCulture)).Kill();
                continue;
            }

            await agent.DisposeAsync();
            agent = street.Run(Route);
        }

        await street.Until(() => street.Read("out").Length >= lines * 9, () => $"{street.Read("out").Length} of {lines * 9}");
        Assert.Equal(string.Concat(Enumerable.Range(0, lines).Select(static i => string.Create(CultureInfo.InvariantCulture, $"<{i:D6}>\n"))), street.Read("out"));
        Assert.Contains(street.Reports, static r => r.Contains("was killed by signal 9", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_filter_that_leaves_lines_out_is_ended_and_the_message_says_what_may_be_wrong()
    {
        await using var street = new OutputStreet();
        var agent = street.Run("  - { name: r, filter: { command: \"grep --line-buffered -v drop\", timeout: 1s }, to: { file: { path: ROOT/out } } }");
        street.Log.Write("x", 1, "one\ndrop\n");
        await street.Until(() => !street.Reports.IsEmpty);
        Assert.Equal("route r: filter grep --line-buffered -v drop: has answered 1 of 2 lines and no more for 1 s, and is ended. A filter answers each line with one line at once, an empty one "
            + "to drop it: grep leaves lines out, and most programs hold back what they print into a pipe unless they are told not to (sed -u, awk with fflush()); "
            + "starting it again in 0.1 s, and giving it 2 lines again", street.Reports.First());
        Assert.Equal("", street.Read("out"));
        Assert.False(agent.Process.Status().Pumps.Single().Receivers.Last().Healthy);
    }

    [Theory]
    [InlineData("ROOT/twice", "line", "answers more than it was asked: one answer for each line is expected")]
    [InlineData("echo x", "length", "answers with something else than a length, in digits and with a line end, and so many bytes")]
    [InlineData("false", "line", "ended with status 1")]
    [InlineData("true", "line", "ended by itself, with status 0")]
    public async Task What_is_wrong_with_a_filter_is_said_and_nothing_is_delivered(string command, string framing, string problem)
    {
        await using var street = new OutputStreet();
        street.Script("twice", "#!/bin/sh\nwhile IFS= read -r line; do printf '%s\\n%s\\n' \"$line\" \"$line\"; done\n");
        street.Run($"  - {{ filter: {{ command: \"{command}\", framing: {framing} }}, to: {{ file: {{ path: ROOT/out }} }} }}");
        street.Log.Write("x", 1, "1\n");
        await street.Until(() => street.Reports.Any(r => r.Contains(problem, StringComparison.Ordinal)));
        Assert.Equal("", street.Read("out"));
    }

    [Fact]
    public async Task A_filter_may_answer_while_it_is_still_being_asked()
    {
        await using var street = new OutputStreet();
        street.Run("  - { filter: { command: cat }, to: { file: { path: ROOT/out } } }");
        var text = new string('x', 99_999) + "\n";
        for (var i = 0; i < 200; i++)
            street.Log.Write("x", 1, text);
        await street.Until(() => street.Read("out").Length >= 20_000_000);
        Assert.Equal(string.Concat(Enumerable.Repeat(text, 200)), street.Read("out"));
    }
}
