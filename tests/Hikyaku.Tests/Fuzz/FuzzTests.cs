using Hikyaku.Fuzz;
using Xunit;

namespace Hikyaku.Tests.Fuzz;

/// <summary>Every fuzz target for a moment, on the seed of the commit, after the inputs that once found a bug.</summary>
public sealed class FuzzTests
{
    public static TheoryData<string> Targets => [.. FuzzTarget.All.Select(target => target.Name)];

    [Theory]
    [MemberData(nameof(Targets))]
    public void Target_keeps_its_promises_and_the_canary_is_caught(string name)
    {
        var output = new StringWriter();
        Assert.True(Smoke.Run(FuzzTarget.All.Single(target => target.Name == name), output), output.ToString());
    }

    [Fact]
    public void A_seed_gives_the_same_input_whenever_it_is_used()
    {
        foreach (var target in FuzzTarget.All)
            Assert.Equal(target.Make(new Dice(7)), target.Make(new Dice(7)));
    }
}
