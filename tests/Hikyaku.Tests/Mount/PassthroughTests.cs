using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

public sealed class PassthroughTests
{
    [MountFact]
    public void What_a_file_grows_by_is_in_the_log_as_extents_and_not_as_writes()
    {
        using var mount = Live().Start();
        mount.Shell("echo one > a.log; echo two >> a.log; cat a.log");
        var records = mount.Records(4);
        Assert.Equal(["extent a.log 0..4", "close a.log", "extent a.log 4..8", "close a.log"], records);
    }

    private static LiveMount Live() => new(options => options with { PassesThrough = static _ => true });
}
