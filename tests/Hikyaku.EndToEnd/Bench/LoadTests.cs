using System.Text.Json;
using Hikyaku.EndToEnd.Stage;
using Xunit;

namespace Hikyaku.EndToEnd.Bench;

/// <summary>The judge of all measurements and end-to-end tests: what is wrong with lines must be seen.</summary>
public sealed class LoadTests
{
    private const string Shape = "--writers 3 --bytes 128 --files 4";

    [Theory]
    [InlineData("line")]
    [InlineData("block")]
    public void Lines_of_many_files_arrive_in_the_order_of_each_file(string mode)
    {
        using var scene = Written(mode);
        // Files one after the other: as one stream that is out of order, and file by file it is not.
        Assert.Equal((6000, 0, 0, 0, 0), Judge(scene, "cat w*.log"));
    }

    [Theory]
    [InlineData("sed 100d", 5999, 1, 0, 0, 0)]
    [InlineData("sed 100p", 6001, 0, 1, 0, 0)]
    [InlineData("sed '100{h;d};101G'", 6000, 0, 0, 1, 0)]
    [InlineData("sed '100s/./#/50'", 6000, 1, 0, 0, 1)]
    [InlineData("head -c -1", 5999, 1, 0, 0, 1)]
    [InlineData("sed '100i latency 1 00000001'", 6000, 0, 0, 0, 0)]
    public void Every_fault_is_counted_as_what_it_is(string change, int lines, int lost, int twice, int reordered, int damaged)
    {
        using var scene = Written("line");
        Assert.Equal((lines, lost, twice, reordered, damaged), Judge(scene, $"cat w*.log | {change}"));
    }

    [Fact]
    public void What_comes_on_standard_input_is_compared_with_what_is_known_at_its_end()
    {
        using var scene = Written("line");
        var late = scene.Shell($"cd {scene.Folder} && mv expected.json kept.json && {{ cat w*.log; sleep 0.1; mv kept.json expected.json; }} | {Checkout.Load} check {Shape} --expect expected.json --file -");
        Assert.Equal((6000, 0, 0, 0, 0), Verdict(late));
        var more = scene.Shell($"cd {scene.Folder} && {Checkout.Load} write --dir {scene.Folder} {Shape} --lines 1 --out expected.json >more.json; cat w*.log | {Checkout.Load} check {Shape} --expect expected.json --file -");
        // Written three more times are the first lines; all others are now beyond what is expected.
        Assert.Equal((6003, 0, 3, 0, 5997), Verdict(more));
    }

    [Fact]
    public void Sixty_four_writers_have_room_for_their_numbers()
    {
        using var scene = new Scene();
        scene.ShellOk($"cd {scene.Folder} && {Checkout.Load} write --dir . --writers 64 --bytes 16 --lines 100 --out expected.json");
        Assert.Equal((6400, 0, 0, 0, 0), Judge(scene, "cat w*.log"));
        Assert.Equal(2, scene.Shell($"{Checkout.Load} write --dir {scene.Folder} --writers 37 --bytes 15 --lines 1").ExitCode);
    }

    private static Scene Written(string mode)
    {
        var scene = new Scene();
        scene.ShellOk($"cd {scene.Folder} && {Checkout.Load} write --dir . {Shape} --lines 2000 --mode {mode} --out expected.json");
        return scene;
    }

    private static (int, int, int, int, int) Judge(Scene scene, string lines) =>
        Verdict(scene.Shell($"cd {scene.Folder} && {lines} >arrived; {Checkout.Load} check --expect expected.json --file arrived"));

    private static (int, int, int, int, int) Verdict(Command judge)
    {
        Assert.True(judge.Output.StartsWith('{'), judge.Said);
        using var json = JsonDocument.Parse(judge.Output);
        int Count(string name) => json.RootElement.GetProperty(name).GetInt32();
        var verdict = (Count("lines"), Count("lost"), Count("twice"), Count("reordered"), Count("damaged"));
        Assert.Equal(verdict is (_, 0, 0, 0, 0) ? 0 : 1, judge.ExitCode);
        return verdict;
    }
}
