using Hikyaku.Supervision;
using Xunit;

namespace Hikyaku.Tests.Supervision;

public sealed class RestartRuleTests
{
    private sealed class Clock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => _now;

        public void Advance(int milliseconds) => _now += milliseconds;
    }

    [Fact]
    public void Failures_are_forgotten_after_the_window()
    {
        var clock = new Clock();
        var limit = new FailureLimit(2, TimeSpan.FromSeconds(60), clock);
        Assert.False(limit.Exceeded());
        clock.Advance(30_000);
        Assert.False(limit.Exceeded());
        clock.Advance(31_000);
        Assert.False(limit.Exceeded());
        clock.Advance(1);
        Assert.True(limit.Exceeded());
    }

    [Fact]
    public void Pauses_double_up_to_the_longest_and_a_long_run_resets_them()
    {
        var rule = new RestartRule(null, TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(300), new Clock());
        Assert.Equal([50, 100, 200, 300, 300], Enumerable.Range(0, 5).Select(_ => rule.NextPause(TimeSpan.Zero).TotalMilliseconds));
        Assert.Equal(50, rule.NextPause(TimeSpan.FromSeconds(1)).TotalMilliseconds);
    }
}
