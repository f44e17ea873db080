using Xunit;

namespace Hikyaku.Tests.Mount;

public sealed class MountTests
{
    [Fact]
    public void A_line_is_a_record_and_can_be_read_back()
    {
        using var mount = new LiveMount().Start();
        Assert.Equal("hello\nagain\n", mount.Shell("echo hello > a.log; echo again >> a.log; cat a.log"));
        Assert.Equal(["write a.log@0 hello\\n", "close a.log", "write a.log@6 again\\n", "close a.log"], mount.Records());
        mount.Stop();
        Assert.Equal("hello\nagain\n", File.ReadAllText(Path.Combine(mount.Point, "a.log")));
    }
}
