using Hikyaku.Commands;
using Hikyaku.Supervision;
using Xunit;

namespace Hikyaku.Tests.Supervision;

public sealed class StateLockTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hikyaku-lock").FullName;

    private string State => Path.Join(_folder, "a/b");

    [Fact]
    public void The_directory_is_made_for_its_owner_alone()
    {
        using var hold = StateLock.Take(State);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(State));
    }

    [Fact]
    public void A_second_instance_is_told_the_process_and_the_directory()
    {
        using var hold = StateLock.Take(State);
        var e = Assert.Throws<CommandException>(() => StateLock.Take(State, TimeSpan.Zero));
        Assert.Equal(ExitCode.Missing, e.ExitCode);
        Assert.Contains(State, e.Message, StringComparison.Ordinal);
        Assert.Contains($"process {Environment.ProcessId}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_holder_is_known_while_it_holds()
    {
        Assert.Null(StateLock.Holder(State));
        using (StateLock.Take(State))
            Assert.Equal(Environment.ProcessId, StateLock.Holder(State));
        Assert.Null(StateLock.Holder(State));
        StateLock.Take(State).Dispose();
    }

    [Fact]
    public async Task An_instance_that_is_just_ending_is_waited_for()
    {
        var before = StateLock.Take(State);
        var next = Task.Run(() => StateLock.Take(State));
        Assert.NotSame(next, await Task.WhenAny(next, Task.Delay(300)));
        before.Dispose();
        (await next).Dispose();
    }

    [Fact]
    public async Task Children_hold_the_directory_on_after_the_instance()
    {
        var hold = StateLock.Take(State);
        using var child = ChildProcess.Start(["/bin/sh", "-c", "echo ready; cat"], hold.Descriptor);
        Assert.True(await child.Ready);
        hold.Dispose();
        Assert.NotNull(StateLock.Holder(State));
        child.AskToStop();
        await child.Exited;
        Assert.Null(StateLock.Holder(State));
    }

    [Fact]
    public void A_directory_that_cannot_be_made_is_told()
    {
        var file = Path.Join(_folder, "file");
        File.WriteAllText(file, "");
        var e = Assert.Throws<CommandException>(() => StateLock.Take(Path.Join(file, "state")));
        Assert.Equal(ExitCode.Missing, e.ExitCode);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
