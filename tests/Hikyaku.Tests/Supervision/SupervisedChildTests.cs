using Hikyaku.Supervision;
using Xunit;

namespace Hikyaku.Tests.Supervision;

/// <summary>Children are shells here: what they do is a line of script.</summary>
public sealed class SupervisedChildTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private int _started;

    [Fact]
    public async Task A_child_that_ends_by_itself_is_not_started_again()
    {
        using var child = Supervise(_ => "echo ready; exit 0");
        Assert.Equal(ChildEnd.Finished, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(1, _started);
        Assert.True(await child.Ready);
    }

    [Fact]
    public async Task A_child_that_is_killed_while_it_works_is_replaced_any_number_of_times()
    {
        using var child = Supervise(n => n < 20 ? "echo ready; kill -9 $$" : "echo ready", max: 2);
        Assert.Equal(ChildEnd.Finished, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(21, _started);
    }

    [Fact]
    public async Task Too_many_failures_in_a_short_time_end_it()
    {
        using var child = Supervise(_ => "echo ready; exit 1", max: 2);
        Assert.Equal(ChildEnd.GivenUp, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(3, _started);
        Assert.Equal(1, child.LastCode);
    }

    [Fact]
    public async Task Being_killed_before_it_was_ready_counts_as_a_failure()
    {
        using var child = Supervise(_ => "kill -9 $$", max: 2);
        Assert.Equal(ChildEnd.GivenUp, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(3, _started);
        Assert.False(await child.Ready);
    }

    [Fact]
    public async Task A_first_child_that_cannot_work_on_this_machine_ends_it_at_once()
    {
        using var child = Supervise(_ => "exit 3");
        Assert.Equal(ChildEnd.Refused, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(1, _started);
        Assert.Equal(3, child.LastCode);
    }

    [Fact]
    public async Task A_child_that_has_worked_is_not_refused_later()
    {
        using var child = Supervise(_ => "echo ready; exit 3", max: 2);
        Assert.Equal(ChildEnd.GivenUp, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(3, _started);
    }

    [Fact]
    public async Task A_process_that_cannot_be_started_is_one_more_failure()
    {
        using var child = Supervise(n => n is 0 ? throw new System.ComponentModel.Win32Exception(11) : "echo ready");
        Assert.Equal(ChildEnd.Finished, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(2, _started);
        Assert.True(await child.Ready);
    }

    [Fact]
    public async Task Processes_that_cannot_be_started_end_it_after_too_many()
    {
        using var child = Supervise(_ => throw new System.ComponentModel.Win32Exception(11), max: 1);
        Assert.Equal(ChildEnd.GivenUp, await child.RunAsync().WaitAsync(Patience));
        Assert.False(await child.Ready);
    }

    [Fact]
    public async Task A_child_that_is_just_being_started_is_stopped_too()
    {
        using var starting = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        using var child = Supervise(_ =>
        {
            starting.Release();
            go.Wait();
            return "echo ready; cat";
        });
        var run = Task.Run(child.RunAsync);
        await starting.WaitAsync(Patience);
        var stop = child.StopAsync(Patience);
        go.Release();
        Assert.True(await stop.WaitAsync(Patience));
        Assert.Equal(ChildEnd.Finished, await run.WaitAsync(Patience));
    }

    [Fact]
    public async Task A_child_that_has_no_successor_ends_it_at_once()
    {
        using var child = Supervise(n => n is 0 ? "echo ready; kill -9 $$" : $"echo ready; exit {SupervisedChild.NoSuccessor}");
        Assert.Equal(ChildEnd.GivenUp, await child.RunAsync().WaitAsync(Patience));
        Assert.Equal(2, _started);
    }

    [Fact]
    public async Task A_child_stops_when_its_standard_input_ends()
    {
        using var child = Supervise(_ => "echo ready; cat; exit 5");
        var run = child.RunAsync();
        Assert.True(await child.Ready.WaitAsync(Patience));
        Assert.True(await child.StopAsync(Patience));
        Assert.Equal(ChildEnd.Finished, await run.WaitAsync(Patience));
        Assert.Equal(1, _started);
    }

    [Fact]
    public async Task A_child_that_does_not_stop_is_killed()
    {
        using var child = Supervise(_ => "echo ready; exec sleep 600");
        var run = child.RunAsync();
        Assert.True(await child.Ready.WaitAsync(Patience));
        Assert.False(await child.StopAsync(TimeSpan.FromMilliseconds(50)));
        Assert.Equal(ChildEnd.Finished, await run.WaitAsync(Patience));
    }

    [Fact]
    public async Task Replacing_starts_the_next_one_without_counting_a_failure()
    {
        using var child = Supervise(_ => "echo ready; cat", max: 0);
        var run = child.RunAsync();
        Assert.True(await child.Ready.WaitAsync(Patience));
        var first = child.ProcessId;
        await child.ReplaceAsync(Patience);
        for (var i = 0; child.ProcessId == first && i < 1000; i++)
            await Task.Delay(10);
        Assert.NotEqual(first, child.ProcessId);
        Assert.False(run.IsCompleted);
        await child.StopAsync(Patience);
        Assert.Equal(2, _started);
    }

    [Fact]
    public async Task A_child_inherits_the_descriptors_it_is_given_and_no_others()
    {
        var path = Path.GetTempFileName();
        try
        {
            int given = Libc.Open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0), other = Libc.Open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
            var script = $"[ -e /proc/self/fd/{given} ] && [ ! -e /proc/self/fd/{other} ] && echo ready";
            using var with = ChildProcess.Start(["/bin/sh", "-c", script], given);
            Assert.True(await with.Ready.WaitAsync(Patience));
            using var without = ChildProcess.Start(["/bin/sh", "-c", script]);
            Assert.False(await without.Ready.WaitAsync(Patience));
            _ = Libc.Close(given);
            _ = Libc.Close(other);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task What_was_open_before_us_stays_from_children()
    {
        // High, so that no other test's descriptors are meant.
        const int High = 900;
        using var file = File.OpenHandle("/dev/null");
        Assert.Equal(High, Libc.Dup2((int)file.DangerousGetHandle(), High));
        ChildProcess.KeepFromChildren(High);
        using var child = ChildProcess.Start(["/bin/sh", "-c", $"[ ! -e /proc/self/fd/{High} ] && echo ready"]);
        Assert.True(await child.Ready.WaitAsync(Patience));
        _ = Libc.Close(High);
    }

    private SupervisedChild Supervise(Func<int, string> script, int max = 5) => new("test", () => ChildProcess.Start(["/bin/sh", "-c", script(_started++)]), new RestartRule(new FailureLimit(max, TimeSpan.FromHours(1), TimeProvider.System), TimeSpan.Zero, TimeSpan.Zero, TimeProvider.System));
}
