using System.Diagnostics;
using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>The file that outlives the process, when what is found there is of no use.</summary>
public sealed class MountStateTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-state-").FullName;
    private readonly List<string> _reports = [];

    private string StatePath => Path.Combine(_root, "state");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_state_of_another_version_is_told_of_and_not_used(bool hasOtherLength)
    {
        MakeState(static state => state[2] = 1);
        if (hasOtherLength)
        {
            using var file = File.OpenWrite(StatePath);
            file.SetLength(file.Length - 4096);
        }
        Assert.Null(MountState.TryOpen(StatePath, _reports.Add));
        Assert.Contains("another version", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void A_state_that_a_kill_left_half_made_is_nothing_to_tell_of()
    {
        Assert.Null(MountState.TryOpen(StatePath, _reports.Add));
        MakeState(static state => state[0] = state[1] = 0);
        Assert.Null(MountState.TryOpen(StatePath, _reports.Add));
        File.WriteAllBytes(StatePath, []);
        Assert.Null(MountState.TryOpen(StatePath, _reports.Add));
        Assert.Empty(_reports);
        MakeState(static _ => { });
        using var state = MountState.TryOpen(StatePath, _reports.Add);
        Assert.NotNull(state);
    }

    [MountFact]
    public void A_new_state_has_room_on_a_full_disk_where_a_useless_one_was()
    {
        Process.Start("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", _root]).WaitForExit();
        try
        {
            MakeState(static state => state[0] = state[1] = 0);
            using (var filler = File.OpenWrite(Path.Combine(_root, "filler")))
                Assert.Throws<IOException>(() => FillUp(filler));
            Assert.Null(MountState.TryOpen(StatePath));
            using var state = MountState.Create(StatePath, 2, 1, 1);
            Assert.True(state.AllocateNode(1));
            Assert.True(state.AllocateHandle(0));
        }
        finally
        {
            Process.Start("umount", ["-l", _root]).WaitForExit();
        }
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static void FillUp(FileStream file)
    {
        var block = new byte[4096];
        while (true)
        {
            file.Write(block);
            file.Flush();
        }
    }

    // A state with room for nodes and handles, whose first words are then changed: two of magic, one of version.
    private unsafe void MakeState(Action<uint[]> change)
    {
        using var state = MountState.Create(StatePath, 1, 1, 1);
        Assert.True(state.AllocateNode(1));
        Assert.True(state.AllocateHandle(0));
        var words = new Span<uint>(state.Header, 3).ToArray();
        change(words);
        words.CopyTo(new Span<uint>(state.Header, 3));
    }
}
